package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// schedule chooses how a search uses its time, from the speed of its first batches; nil without a limit. began is when the time
// began to run. A search that is resumed keeps the schedule that it had.
func schedule(ctx context.Context, q SearchRequest, session engine.Session, set *perplexity.Set, cost search.Cost,
	eval *perplexity.Evaluator, steps int, began time.Time, rep Reporter,
) (*strategy.Schedule, error) {
	m := q.Method
	if m.Time == 0 {
		return nil, nil
	}
	var plan strategy.Schedule
	if raw := q.Journal.Note("schedule"); raw != nil && json.Unmarshal(raw, &plan) == nil {
		return &plan, nil
	}
	// Not on the search's ledger: what that measures here, a resumed search would not, and its batches would be others.
	speed, err := measureSpeed(ctx, search.NewLedger(eval, cost, nil, ""), session.BatchSeqs())
	if err != nil {
		return nil, err
	}
	spec, err := strategy.Find(m.Strategy)
	if err != nil {
		return nil, err
	}
	n := len(set.Sequences)
	plan, err = strategy.Limit{
		Cost: cost, Unit: q.Unit, Steps: steps, Available: n, Tokens: set.Tokens() / n, Scored: set.Scored() / n,
		Speed: speed, Time: m.Time - time.Since(began), Refine: spec.Refines,
	}.Schedule()
	if err != nil {
		return nil, fmt.Errorf("--time %v is %w", m.Time, err)
	}
	rep.Notef("to be done in %v: %d of %d sequences, about %v", m.Time, plan.Sequences, n,
		time.Duration(plan.Predicted/speed*float64(time.Second)).Round(time.Second))
	return &plan, q.Journal.SetNote("schedule", plan)
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
