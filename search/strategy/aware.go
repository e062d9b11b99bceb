package strategy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// Aware is a search strategy that scores every candidate after a cheap repair of its own, so that it removes what the blocks before can
// make up for. Of a candidate, let y(t) be what the nearest kept block before it adds to the stream, and s(t) what the candidate adds. A
// linear map M is fitted on Fit so that M y comes close to s (ridge, positions weighted as in [fit.Run]); the score is the perplexity on Held
// of the model without the candidate, with M y added in its place. Where a repair could not change the block before, there is no map.
// Nothing is changed in the model: the repair proper comes after the search. (Carrying the maps along, so that later steps see them,
// found worse masks: docs/BENCHMARKS.md.) The maps are those of [fit.Span].
//
// After the first step only the Admit candidates that were best in the step before are looked at. They race: from one batch of Held to
// the next, those drop out that are behind the best by more than Drop standard errors of the difference.
type Aware struct {
	Runner    engine.BlockRunner
	Weights   fit.Weights // tells which blocks a repair could change
	Fit, Held [][]engine.Sequence
	Admit     int     // 0: all
	Drop      float64 // 0: none drops out

	Cost    search.Cost           // of the model's blocks
	MapCost float64               // fitting and using a map, for each token, in blocks
	Notes   fit.Notes             // what earlier runs decided; nil: nothing, and nothing is kept
	OnRun   func(search.BatchRun) // may be nil: is told what ran, as of a [search.Ledger]
	Stop    func() error          // may be nil: an error ends the search, between batches

	forms []bool             // of each block: a repair could change it; nil: not known yet
	last  map[string]float64 // scores of the step before
	spent float64
}

// Defaults of Aware.
const (
	AwareAdmit = 12
	AwareDrop  = 2
)

// AwareNotes is what the names of the notes begin with, one for each step.
const AwareNotes = "aware/"

// Name implements search.Strategy.
func (*Aware) Name() string { return "aware" }

// awareStep is what the notes say of a step: the masks and scores of its candidates.
type awareStep struct {
	Base   jsonnum.Float    `json:"base"`
	Masks  []blockmask.Mask `json:"masks"`
	Scores []jsonnum.Float  `json:"scores"`
	Seen   []int            `json:"sequences"` // 0: all
	Cost   float64          `json:"cost"`
}

// Choose implements search.Strategy.
func (a *Aware) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	key := AwareNotes + removed.Key() + "/" + fit.Digest(a.Fit, a.Held)
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
	out := search.Choice{Base: float64(step.Base), Cost: step.Cost, PaperCost: a.paperCost(removed, candidates)}
	a.last = map[string]float64{}
	for i, m := range step.Masks {
		c := search.Candidate{Mask: m, Score: float64(step.Scores[i]), Sequences: step.Seen[i]}
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
		if a.forms, err = fit.Mappable(ctx, a.Runner, a.Weights, a.Fit[0]); err != nil {
			return s, err
		}
	}
	kept := fit.Kept(a.Runner.Blocks(), removed)
	var arms []*arm
	for _, c := range candidates {
		span, err := fit.NewSpan(a.Runner.Blocks(), kept, c, a.forms)
		if err != nil {
			return s, err
		}
		arms = append(arms, &arm{Span: span})
	}
	if err := a.fit(ctx, removed, kept, arms); err != nil {
		return s, err
	}
	base, err := a.race(ctx, removed, kept, arms)
	if err != nil {
		return s, err
	}
	s.Base, s.Cost = ppl(mean(base)), a.spent
	leader := arms[leading(arms)]
	for _, x := range arms {
		// Who dropped out is as far behind the winner as it was on the sequences that both have seen.
		n, score := len(x.losses), mean(leader.losses)
		score += mean(x.losses) - mean(leader.losses[:n])
		s.Masks, s.Scores = append(s.Masks, x.Mask), append(s.Scores, ppl(score))
		if n == len(leader.losses) {
			n = 0
		}
		s.Seen = append(s.Seen, n)
	}
	return s, nil
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
		kept := float64(len(a.Cost.Blocks) - removed.Len())
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
		total += float64(len(a.Cost.Blocks)-removed.Len()-c.Len()) + a.Cost.Head
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

// ppl is the perplexity of a mean loss; +Inf for what is no number, in this run as in one that reads it from its notes.
func ppl(loss float64) jsonnum.Float {
	if v := math.Exp(loss); jsonnum.Finite(v) {
		return jsonnum.Float(v)
	}
	return jsonnum.Float(math.Inf(1))
}

// prepareAware sets up aware, on text of its own.
func prepareAware(s Setup) (*Prepared, error) {
	if s.Metric != perplexity.NLL {
		return nil, errors.New("--strategy aware scores by perplexity; leave out --metric")
	}
	r, err := s.Repair()
	if err != nil {
		return nil, err
	}
	a := &Aware{
		Runner: r.Runner, Weights: r.Weights, Fit: r.Fit, Held: r.Held, Admit: AwareAdmit, Drop: AwareDrop,
		Cost: s.Ledger.Cost(), Notes: s.Notes, Stop: s.Ledger.Stop,
	}
	if r.Params > 0 {
		width := float64(r.Width)
		a.MapCost = 3 * width * width * float64(len(a.Cost.Blocks)) / float64(r.Params)
	}
	return &Prepared{Strategy: a, StepCost: a.StepCost(s.Unit), ScoredOn: r.Text, onRun: []*func(search.BatchRun){&a.OnRun}}, nil
}
