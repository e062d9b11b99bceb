package repairbench

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// aware sets the search that knows of repair against others that are calibrated on the same tokens, with and without a repair behind
// them, at equal numbers of blocks and, between those, at equal parameters.
func (r *rig) aware(ctx context.Context) error {
	path := strings.Split(r.models, ",")[0]
	gain, ahead := map[string][]float64{}, map[string][]float64{}
	for seed := r.from; seed < r.from+uint64(r.seeds); seed++ {
		results := map[string][]outcome{}
		for _, name := range strings.Split(r.strategies, ",") {
			order, err := r.mixedOrder(ctx, path, seed, name)
			if err != nil {
				return err
			}
			for _, n := range numbers(r.blocks) {
				got, err := r.judgeRepaired(ctx, path, seed, blockmask.New(order[:n]...), fit.Auto)
				if err != nil {
					return err
				}
				results[name] = append(results[name], got)
				fmt.Printf("sample %d, %d blocks, %s: %.1f%% of the parameters gone; %.3f / %.3f, repaired %.3f / %.3f; %s\n", seed, n, name,
					100*got.gone, got.before.instruct, got.before.other, got.after.instruct, got.after.other, blockmask.New(order[:n]...))
			}
		}
		greedy, aware := results["greedy"], results["aware"]
		if greedy == nil || aware == nil {
			continue
		}
		for i, n := range numbers(r.blocks) {
			key := strconv.Itoa(n)
			gain[key] = append(gain[key], 100*(1-aware[i].after.instruct/greedy[i].before.instruct))
			ahead[key] = append(ahead[key], 100*(1-aware[i].after.instruct/greedy[i].after.instruct))
			instruct, other, ok := at(greedy, aware[i].gone)
			if !ok {
				continue
			}
			a, b := 100*(1-aware[i].after.instruct/instruct), 100*(1-aware[i].after.other/other)
			fmt.Printf("sample %d, %d blocks: with as many parameters gone greedy and a repair have %.3f / %.3f; aware is ahead by %.1f%% / %.1f%%\n",
				seed, n, instruct, other, a, b)
			ahead[key+"_same_size"] = append(ahead[key+"_same_size"], a)
			ahead[key+"_same_size_other"] = append(ahead[key+"_same_size_other"], b)
		}
	}
	for n := range gain {
		r.figure("aware_gain_pct_"+n, mean(gain[n]))
	}
	for n := range ahead {
		r.figure("aware_vs_greedy_repaired_pct_"+n, mean(ahead[n]))
	}
	return nil
}

// at is the perplexity of a series of repaired models at a part of the parameters that are gone: between the two next to it, linear
// in the logarithm.
func at(series []outcome, gone float64) (instruct, other float64, ok bool) {
	const same = 1e-9 // of all parameters
	for i := range series {
		a := series[max(0, i-1)]
		b := series[i]
		if gone < a.gone-same || gone > b.gone+same {
			continue
		}
		w := 1.0
		if b.gone > a.gone {
			w = (gone - a.gone) / (b.gone - a.gone)
		}
		between := func(x, y float64) float64 { return math.Exp((1-w)*math.Log(x) + w*math.Log(y)) }
		return between(a.after.instruct, b.after.instruct), between(a.after.other, b.after.other), true
	}
	return 0, 0, false
}

// outcome is a pruned model, and the same repaired.
type outcome struct {
	dense, before, after judged
	gone                 float64 // part of the parameters
	repair               *fit.Result
	cpu                  float64 // seconds of the repair
}

// mixed is the calibration text of all strategies: what aware fits and scores on.
func (r *rig) mixed(o *open, seed uint64) (fitted, held [][]engine.Sequence, set *perplexity.Set, err error) {
	if fitted, held, err = fit.Batches(o.model, r.texts(), r.window, r.awareTokens, batchSeqs, seed); err != nil {
		return nil, nil, nil, err
	}
	set = &perplexity.Set{Convention: perplexity.Samples, Corpus: "both texts", Context: r.window}
	for _, part := range [][][]engine.Sequence{fitted, held} {
		for _, batch := range part {
			for _, q := range batch {
				q.Targets = append([]engine.Token(nil), q.Targets...)
				q.Targets[len(q.Targets)-1] = -1 // nothing follows
				set.Sequences = append(set.Sequences, q)
			}
		}
	}
	return fitted, held, set, nil
}

// mixedOrder is what a strategy removes, by the same text as the others.
func (r *rig) mixedOrder(ctx context.Context, path string, seed uint64, name string) ([]blockmask.Block, error) {
	return r.once(fmt.Sprintf("sample %d: %s", seed, name), func() ([]blockmask.Block, error) {
		o, err := r.open(ctx, path)
		if err != nil {
			return nil, err
		}
		defer o.close()
		fitted, held, set, err := r.mixed(o, seed)
		if err != nil {
			return nil, err
		}
		cost := search.Cost{Blocks: o.session.Blocks()}
		var s search.Strategy = &strategy.Aware{
			Runner: o.session, Weights: o.weights, Admit: strategy.AwareAdmit, Drop: strategy.AwareDrop, Fit: fitted, Held: held, Cost: cost,
		}
		if name != "aware" {
			if s, err = plain(ctx, o, name, set, cost, seed); err != nil {
				return nil, err
			}
		}
		return steps(ctx, s, o.session.Blocks(), max(maxOf(r.blocks), maxOf(r.curve)))
	})
}

// plain is a strategy that knows nothing of repair.
func plain(ctx context.Context, o *open, name string, set *perplexity.Set, cost search.Cost, seed uint64) (search.Strategy, error) {
	var err error
	if name == "fast-kld" {
		if set, err = perplexity.WithReferences(ctx, o.session, set, perplexity.TopTokens, nil); err != nil {
			return nil, err
		}
	}
	v, err := perplexity.NewEvaluator(o.session, set)
	if err != nil {
		return nil, err
	}
	l := search.NewLedger(v, cost, nil, "")
	switch name {
	case "greedy":
		return strategy.Greedy{Scorer: l}, nil
	case "fast", "fast-kld":
		return strategy.NewFast(l, seed), nil
	}
	return nil, fmt.Errorf("no strategy %q", name)
}

// steps runs a strategy until n blocks are gone.
func steps(ctx context.Context, s search.Strategy, blocks []blockmask.Block, n int) ([]blockmask.Block, error) {
	m := &search.Model{Blocks: blocks, Params: map[blockmask.Block]uint64{}, Size: func(blockmask.Mask) (int64, error) { return 0, nil }}
	for _, b := range blocks {
		m.Params[b] = 1
		m.Total++
	}
	res, err := search.Run(ctx, s, m, blockmask.Mix, search.Goal{Blocks: n}, nil)
	if err != nil {
		return nil, err
	}
	var order []blockmask.Block
	for _, step := range res.Steps {
		order = append(order, step.Removed.Blocks()...)
	}
	return order, nil
}

// judgeRepaired judges a mask as it is, and repaired by a method. A repair changes the loaded model, so each has its own.
func (r *rig) judgeRepaired(ctx context.Context, path string, seed uint64, mask blockmask.Mask, method fit.Method) (outcome, error) {
	key := fmt.Sprintf("%s %s %d %s", path, mask, seed, method)
	if got, ok := r.outcomes[key]; ok {
		return got, nil
	}
	var out outcome
	o, err := r.open(ctx, path)
	if err != nil {
		return out, err
	}
	defer o.close()
	out.gone = o.gone(mask)
	if out.dense, err = r.whole(ctx, o, path); err != nil {
		return out, err
	}
	if out.before, err = o.judge(ctx, mask); err != nil {
		return out, err
	}
	fitted, held, err := fit.Batches(o.model, r.texts(), r.window, r.tokens, batchSeqs, seed)
	if err != nil {
		return out, err
	}
	cpu := machine.CPUSeconds()
	if out.repair, err = fit.Run(ctx, o.session, o.weights, fit.Request{Removed: mask, Method: method, Fit: fitted, Held: held}); err != nil {
		return out, err
	}
	out.cpu = machine.CPUSeconds() - cpu
	out.after, err = o.judge(ctx, mask)
	if r.outcomes == nil {
		r.outcomes = map[string]outcome{}
	}
	r.outcomes[key] = out
	return out, err
}

// curve is how perplexity grows with what is removed: greedy, greedy and a repair, the search that knows of repair and a repair.
func (r *rig) curves(ctx context.Context) error {
	path := strings.Split(r.models, ",")[0]
	greedy, err := r.mixedOrder(ctx, path, r.from, "greedy")
	if err != nil {
		return err
	}
	knowing, err := r.mixedOrder(ctx, path, r.from, "aware")
	if err != nil {
		return err
	}
	fmt.Println("blocks | parameters gone, greedy | greedy | repaired | parameters gone, aware | aware, repaired")
	for _, n := range numbers(r.curve) {
		a, err := r.judgeRepaired(ctx, path, r.from, blockmask.New(greedy[:n]...), fit.Auto)
		if err != nil {
			return err
		}
		b, err := r.judgeRepaired(ctx, path, r.from, blockmask.New(knowing[:n]...), fit.Auto)
		if err != nil {
			return err
		}
		fmt.Printf("%d | %.1f%% | %.3f / %.3f | %.3f / %.3f | %.1f%% | %.3f / %.3f\n", n, 100*a.gone, a.before.instruct, a.before.other,
			a.after.instruct, a.after.other, 100*b.gone, b.after.instruct, b.after.other)
	}
	return nil
}

// dense judges whole models: the rivals of pruned ones.
func (r *rig) dense(ctx context.Context) error {
	for _, path := range strings.Split(r.models, ",") {
		o, err := r.open(ctx, path)
		if err != nil {
			return err
		}
		got, err := o.judge(ctx, nil)
		o.close()
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes, %.3f / %.3f\n", path, info.Size(), got.instruct, got.other)
	}
	return nil
}
