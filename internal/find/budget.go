package find

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// repairTokens are the sizes of a repair that a time is planned with, when the user names none. With less there is none.
var repairTokens = []int{65536, 32768, 16384, 8192}

// What a repair takes: all tokens run through the blocks of the original and of what is left of it, and sums add about half to that.
// Then equations are solved, for several lambdas (docs/BENCHMARKS.md).
const (
	repairPasses = 2 * 1.5
	solveSeconds = 2e-9 // for each FFN, times the cube of its channels
)

// mostBehind is the most of the time that what follows the search may take.
const mostBehind = 0.6

// timePosition finds out how fast the model itself runs, which the check and the comparison do.
func (f *finder) timePosition(ctx context.Context) error {
	if f.Method.Time == 0 || !f.Writes {
		return nil
	}
	batch := f.set.Sequences[:min(len(f.set.Sequences), f.session.BatchSeqs())]
	tokens := 0
	for _, s := range batch {
		tokens += len(s.Tokens)
	}
	for range 2 { // the first warms up
		begin := time.Now()
		if _, err := f.session.EvalPlain(ctx, batch, nil); err != nil {
			return err
		}
		f.position = time.Since(begin).Seconds() / float64(tokens)
	}
	return nil
}

// behind is what follows the search in seconds, where speed is that of the search in block-tokens a second, and how many tokens of it the
// repair gets; 0: left is too short for one.
func (f *finder) behind(speed float64, left time.Duration) (seconds float64, tokens int) {
	if !f.Writes {
		return 0, 0
	}
	after := f.position * float64(f.After)
	if !f.Repair.Wanted() {
		return after, 0
	}
	if f.twin && f.Repair.Twin(f.src) == nil && f.position > 0 { // the repair runs on the model itself
		speed = float64(len(f.blocks)) / f.position
	}
	sizes := repairTokens
	if f.Repair.TokensGiven {
		sizes = []int{f.Repair.Tokens}
	}
	for _, n := range sizes {
		seconds = after + f.solving() + repairPasses*float64(n)*float64(len(f.blocks))/speed
		if seconds <= mostBehind*left.Seconds() {
			return seconds, n
		}
	}
	if f.Repair.Usual {
		return after, 0
	}
	return seconds, sizes[len(sizes)-1]
}

// solving is about what the equations of a repair take in seconds, in which nothing runs through the model.
func (f *finder) solving() (seconds float64) {
	for _, b := range f.blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		if n, why := repair.Channels(f.src.File, b); why == "" && n <= fit.MaxFull {
			k := float64(n)
			seconds += solveSeconds * k * k * k
		}
	}
	return seconds
}

// schedule chooses how a search uses its time, from the speed of its first batches; nil without a limit. A search that is resumed keeps
// the schedule that it had.
func (f *finder) schedule(ctx context.Context, eval *perplexity.Evaluator, steps int) (*strategy.Schedule, error) {
	m := f.Method
	if m.Time == 0 {
		return nil, nil
	}
	var out strategy.Schedule
	if raw := f.journal.Note("schedule"); raw != nil && json.Unmarshal(raw, &out) == nil {
		tokens := 0
		if raw := f.journal.Note("repair tokens"); raw != nil && json.Unmarshal(raw, &tokens) == nil {
			if tokens == 0 && f.Writes && f.Repair.Wanted() {
				f.sink.Notef("for a repair the time is too short")
			}
			f.repairOn(tokens)
		}
		return &out, nil
	}
	// Not on the search's ledger: what that measures here, a resumed search would not, and its batches would be others.
	speed, err := measureSpeed(ctx, search.NewLedger(eval, f.cost(), nil, ""), f.session.BatchSeqs())
	if err != nil {
		return nil, err
	}
	n := len(f.set.Sequences)
	left := m.Time - time.Since(f.began)
	behind, tokens := f.behind(speed, left)
	later := time.Duration(behind * float64(time.Second))
	out, err = strategy.Limit{
		Cost: f.cost(), Unit: f.Unit, Steps: steps, Available: n, Tokens: f.set.Tokens() / n, Scored: f.set.Scored() / n,
		Speed: speed, Time: left - later, Refine: m.Spec().Refines,
	}.Schedule()
	if err != nil {
		if later > 0 {
			err = fmt.Errorf("%w; what follows the search takes about %v of the time, less with --no-compare or --repair off", err, later.Round(time.Second))
		}
		return nil, fmt.Errorf("--time %v is %w", m.Time, err)
	}
	text := fmt.Sprintf("to be done in %v: %d of %d sequences, about %v", m.Time, out.Sequences, n,
		time.Duration(out.Predicted/speed*float64(time.Second)).Round(time.Second))
	switch {
	case tokens > 0:
		text += fmt.Sprintf("; then a repair on %d tokens and the rest, about %v", tokens, later.Round(time.Second))
	case f.Writes && f.Repair.Wanted():
		text += fmt.Sprintf("; then the rest, about %v; for a repair the time is too short", later.Round(time.Second))
	case f.Writes:
		text += fmt.Sprintf("; then the rest, about %v", later.Round(time.Second))
	}
	f.sink.Notef("%s", text)
	if err := f.journal.SetNote("repair tokens", tokens); err != nil {
		return nil, err
	}
	f.repairOn(tokens)
	return &out, f.journal.SetNote("schedule", out)
}

// repairOn has the repair see so many tokens, 0: be left out.
func (f *finder) repairOn(tokens int) {
	switch {
	case !f.Repair.Wanted():
	case tokens == 0:
		f.Repair = repair.Options{}
	default:
		f.Repair.Tokens = tokens
	}
}

// measureSpeed returns block-tokens a second, of a batch that ran when another one had warmed everything up.
func measureSpeed(ctx context.Context, ledger *search.Ledger, perBatch int) (float64, error) {
	all := ledger.Sequences()
	speed := 0.0
	for from := 0; from < min(len(all), 3*perBatch); from += perBatch {
		spent, begin := ledger.Spent(), time.Now()
		if err := ledger.Measure(ctx, all[from:min(from+perBatch, len(all))], nil, nil, true); err != nil {
			return 0, err
		}
		speed = max(speed, (ledger.Spent()-spent)/time.Since(begin).Seconds())
	}
	return speed, nil
}
