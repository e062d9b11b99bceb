package find

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// schedule chooses how a search uses its time, from the speed of its first batches; nil without a limit. began is when the time
// began to run. A search that is resumed keeps the schedule that it had.
func (f *finder) schedule(ctx context.Context, eval *perplexity.Evaluator, steps int, began time.Time) (*strategy.Schedule, error) {
	m := f.Method
	if m.Time == 0 {
		return nil, nil
	}
	var out strategy.Schedule
	if raw := f.journal.Note("schedule"); raw != nil && json.Unmarshal(raw, &out) == nil {
		return &out, nil
	}
	// Not on the search's ledger: what that measures here, a resumed search would not, and its batches would be others.
	speed, err := measureSpeed(ctx, search.NewLedger(eval, f.cost(), nil, ""), f.session.BatchSeqs())
	if err != nil {
		return nil, err
	}
	n := len(f.set.Sequences)
	out, err = strategy.Limit{
		Cost: f.cost(), Unit: f.Unit, Steps: steps, Available: n, Tokens: f.set.Tokens() / n, Scored: f.set.Scored() / n,
		Speed: speed, Time: m.Time - time.Since(began), Refine: m.Spec().Refines,
	}.Schedule()
	if err != nil {
		return nil, fmt.Errorf("--time %v is %w", m.Time, err)
	}
	f.sink.Notef("to be done in %v: %d of %d sequences, about %v", m.Time, out.Sequences, n,
		time.Duration(out.Predicted/speed*float64(time.Second)).Round(time.Second))
	return &out, f.journal.SetNote("schedule", out)
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
