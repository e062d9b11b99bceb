package fit

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/search"
)

// Aware is a search strategy that scores every candidate after a cheap repair of its own, so that it removes what the blocks before can
// make up for. Of a candidate, let y(t) be what the nearest kept block before it adds to the stream, and s(t) what the candidate adds. A
// linear map M is fitted on Fit so that M y comes close to s (ridge, positions weighted as in [Run]); the score is the perplexity on Held
// of the model without the candidate, with M y added in its place. Where a repair could not change the block before, there is no map.
// Nothing is changed in the model: the repair proper comes after the search. (Carrying the maps along, so that later steps see them, found worse masks: docs/BENCHMARKS.md.)
//
// After the first step only the Admit candidates that were best in the step before are looked at. They race: from one batch of Held to
// the next, those drop out that are behind the best by more than Drop standard errors of the difference.
type Aware struct {
	Runner    engine.BlockRunner
	Weights   Weights // tells which blocks a repair could change
	Fit, Held [][]engine.Sequence
	Admit     int     // 0: all
	Drop      float64 // 0: none drops out

	Cost    search.Cost           // of the model's blocks
	MapCost float64               // fitting and using a map, for each token, in blocks
	Notes   Notes                 // what earlier runs decided; nil: nothing, and nothing is kept
	OnRun   func(search.BatchRun) // may be nil: is told what ran, as of a [search.Ledger]
	Stop    func() error          // may be nil: an error ends the search, between batches

	forms []bool             // of each block: a repair could change it; nil: not known yet
	last  map[string]float64 // scores of the step before
	spent float64
}

// Defaults of Aware.
const (
	DefaultAdmit = 12
	DefaultDrop  = 2
)

// leastLook is how many sequences a difference must have been seen on before somebody drops out.
const leastLook = 4

// awareLambda is the ridge parameter of the maps, in parts of the mean square of a feature.
const awareLambda = 0.1

// AwareNotes is what the names of the notes begin with, one for each step.
const AwareNotes = "aware/"

// Name implements search.Strategy.
func (*Aware) Name() string { return "aware" }

// awareStep is what the notes say of a step: the masks and scores of its candidates.
type awareStep struct {
	Base   *float64         `json:"base"` // nil: not finite
	Masks  []blockmask.Mask `json:"masks"`
	Scores []*float64       `json:"scores"`
	Seen   []int            `json:"sequences"` // 0: all
	Cost   float64          `json:"cost"`
}

// Choose implements search.Strategy.
func (a *Aware) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	key := AwareNotes + removed.Key() + "/" + Digest(a.Fit, a.Held)
	admitted := a.admit(candidates)
	step, ok := a.noted(key, admitted)
	if ok {
		a.told(search.BatchRun{Candidate: admitted[0], Tokens: a.tokens(), Cost: step.Cost, Replayed: true})
	} else {
		var err error
		if step, err = a.step(ctx, removed, admitted); err != nil {
			return search.Choice{}, err
		}
		if a.Notes != nil {
			if err := a.Notes.SetNote(key, step); err != nil {
				return search.Choice{}, err
			}
		}
	}
	out := search.Choice{Base: infinite(step.Base), Cost: step.Cost, PaperCost: a.paperCost(removed, candidates)}
	a.last = map[string]float64{}
	for i, m := range step.Masks {
		c := search.Candidate{Mask: m, Score: infinite(step.Scores[i]), Sequences: step.Seen[i]}
		a.last[m.Key()] = c.Score
		out.Scored = append(out.Scored, c)
		if best := out.Scored[out.Best]; c.Sequences == 0 && (best.Sequences > 0 || c.Score < best.Score) {
			out.Best = i
		}
	}
	return out, nil
}

// noted is what an earlier run found for the same candidates.
func (a *Aware) noted(key string, admitted []blockmask.Mask) (s awareStep, ok bool) {
	if a.Notes == nil {
		return s, false
	}
	raw := a.Notes.Note(key)
	ok = raw != nil && json.Unmarshal(raw, &s) == nil && len(s.Masks) == len(s.Scores) && len(s.Masks) == len(s.Seen) &&
		slices.EqualFunc(s.Masks, admitted, blockmask.Mask.Equal)
	return s, ok
}

// step measures the candidates.
func (a *Aware) step(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (s awareStep, err error) {
	a.spent = 0
	if a.forms == nil { // its cost does not count: a search that goes on would have it in another step
		if a.forms, err = mappable(ctx, a.Runner, a.Weights, a.Fit[0]); err != nil {
			return s, err
		}
	}
	kept := keptBlocks(a.Runner.Blocks(), removed)
	var spans []*span
	for _, c := range candidates {
		span, err := newSpan(a.Runner.Blocks(), kept, c)
		if err != nil {
			return s, err
		}
		if span.before >= 0 && !a.forms[span.before] {
			span.before = -1
		}
		spans = append(spans, span)
	}
	if err := a.fit(ctx, removed, kept, spans); err != nil {
		return s, err
	}
	base, err := a.race(ctx, removed, kept, spans)
	if err != nil {
		return s, err
	}
	s.Base, s.Cost = finitePPL(mean(base)), a.spent
	leader := spans[leading(spans)]
	for _, x := range spans {
		// Who dropped out is as far behind the winner as it was on the sequences that both have seen.
		n, score := len(x.losses), mean(leader.losses)
		score += mean(x.losses) - mean(leader.losses[:n])
		s.Masks, s.Scores = append(s.Masks, x.mask), append(s.Scores, finitePPL(score))
		if n == len(leader.losses) {
			n = 0
		}
		s.Seen = append(s.Seen, n)
	}
	return s, nil
}

// leading is the best of those that have seen most.
func leading(spans []*span) (best int) {
	for i, s := range spans {
		b := spans[best]
		if len(s.losses) > len(b.losses) || len(s.losses) == len(b.losses) && (mean(s.losses) < mean(b.losses) || math.IsNaN(mean(b.losses))) {
			best = i
		}
	}
	return best
}

// race runs the model and the candidates on the held part, and returns the model's mean loss of each sequence.
func (a *Aware) race(ctx context.Context, removed blockmask.Mask, kept []int, spans []*span) (base []float64, err error) {
	n := len(a.Runner.Blocks())
	alive := slices.Clone(spans)
	for _, seqs := range a.Held {
		tokens := len(seqs) * len(seqs[0].Tokens)
		x, err := a.streams(ctx, seqs, removed, kept)
		if err != nil {
			return nil, err
		}
		rows, err := a.Runner.EvalFrom(ctx, seqs, removed, n, x[n])
		if err != nil {
			return nil, err
		}
		base = append(base, means(rows)...)
		a.ran(nil, tokens, float64(len(kept))+a.Cost.Head)
		for _, s := range alive {
			in, err := a.repaired(ctx, s, x, tokens)
			if err != nil {
				return nil, err
			}
			if rows, err = a.Runner.EvalFrom(ctx, seqs, removed.Union(s.mask), s.stop, in); err != nil {
				return nil, err
			}
			s.losses = append(s.losses, means(rows)...)
			a.ran(s.mask, tokens, float64(s.after)+a.Cost.Head+a.MapCost/3)
			if err := a.stopped(); err != nil {
				return nil, err
			}
		}
		alive = a.drop(alive)
	}
	return base, nil
}

// drop takes those out that are clearly behind. What is no number is behind everything.
func (a *Aware) drop(alive []*span) []*span {
	best := alive[leading(alive)]
	if a.Drop <= 0 || len(best.losses) < leastLook {
		return alive
	}
	return slices.DeleteFunc(slices.Clone(alive), func(s *span) bool {
		diff := make([]float64, len(s.losses))
		for i := range diff {
			diff[i] = s.losses[i] - best.losses[i]
		}
		m, ss := mean(diff), 0.0
		for _, d := range diff {
			ss += (d - m) * (d - m)
		}
		n := float64(len(diff))
		return s != best && !(m <= a.Drop*math.Sqrt(ss/(n-1)/n))
	})
}

// admit picks the candidates of a step, in their order: the best of the step before. What that did not look at comes in as others go.
func (a *Aware) admit(candidates []blockmask.Mask) []blockmask.Mask {
	if a.Admit <= 0 || a.last == nil || len(candidates) <= a.Admit {
		return candidates
	}
	stale := func(m blockmask.Mask) float64 {
		if v, ok := a.last[m.Key()]; ok {
			return v
		}
		return math.Inf(1)
	}
	order := slices.Clone(candidates)
	slices.SortStableFunc(order, func(x, y blockmask.Mask) int { return cmp.Compare(stale(x), stale(y)) })
	chosen := order[:a.Admit]
	return slices.DeleteFunc(slices.Clone(candidates), func(m blockmask.Mask) bool { return !slices.ContainsFunc(chosen, m.Equal) })
}

// StepCost returns what a step is expected to cost, in block-tokens.
func (a *Aware) StepCost(unit blockmask.Unit) search.StepCost {
	fit, held := tokensOf(a.Fit), tokensOf(a.Held)
	return func(step int, removed blockmask.Mask) float64 {
		kept := float64(len(a.Cost.Blocks) - len(removed))
		n := len(blockmask.Candidates(unit, a.Cost.Blocks, removed))
		if step > 1 && a.Admit > 0 {
			n = min(n, a.Admit)
		}
		look := 1.0 // how much of the held part a candidate sees, on average
		if a.Drop > 0 && len(a.Held) > 1 {
			look = 0.6
		}
		return fit*(kept+float64(n)*a.MapCost) + held*(kept+a.Cost.Head+look*float64(n)*(kept/2+a.Cost.Head+a.MapCost/3))
	}
}

// paperCost is what a full pass for each candidate on the same text would cost.
func (a *Aware) paperCost(removed blockmask.Mask, candidates []blockmask.Mask) float64 {
	total := 0.0
	for _, c := range candidates {
		total += float64(len(a.Cost.Blocks)-len(removed)-len(c)) + a.Cost.Head
	}
	return total * (tokensOf(a.Fit) + tokensOf(a.Held))
}

func (a *Aware) tokens() int { return int(tokensOf(a.Fit) + tokensOf(a.Held)) }

// ran counts a run of so many blocks on so many tokens.
func (a *Aware) ran(candidate blockmask.Mask, tokens int, blocks float64) {
	cost := blocks * float64(tokens)
	a.spent += cost
	a.told(search.BatchRun{Candidate: candidate, Tokens: tokens, Cost: cost})
}

func (a *Aware) told(r search.BatchRun) {
	if a.OnRun != nil {
		a.OnRun(r)
	}
}

func (a *Aware) stopped() error {
	if a.Stop == nil {
		return nil
	}
	return a.Stop()
}

// tokensOf counts the positions of a part.
func tokensOf(part [][]engine.Sequence) float64 {
	n := 0
	for _, batch := range part {
		n += len(batch) * len(batch[0].Tokens)
	}
	return float64(n)
}

// finitePPL is the perplexity of a mean loss; nil if it is not finite, which JSON has no word for.
func finitePPL(loss float64) *float64 {
	if v := math.Exp(loss); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return &v
	}
	return nil
}

func infinite(x *float64) float64 {
	if x == nil {
		return math.Inf(1)
	}
	return *x
}

// means is each sequence's mean loss over the positions that something follows.
func means(rows [][]float64) (out []float64) {
	for _, row := range rows {
		out = append(out, mean(row[:len(row)-1]))
	}
	return out
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
