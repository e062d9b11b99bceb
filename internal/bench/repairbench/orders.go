package repairbench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// once runs a search, prints what it removes in order, and remembers it. A run's lines can be given to a later one (-orders).
func (r *rig) once(name string, search func() ([]blockmask.Block, error)) ([]blockmask.Block, error) {
	if got, ok := r.found[name]; ok {
		return got, nil
	}
	cpu := machine.CPUSeconds()
	order, err := search()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%s took %.0f CPU s: %v\n", name, machine.CPUSeconds()-cpu, order)
	r.found[name] = order
	return order, nil
}

var orderLine = regexp.MustCompile(`^(sample \d+: .+) took \d+ CPU s: \[(.+)\]$`)

// readOrders reads such lines from a file. The longest of several for one search counts.
func readOrders(path string) (map[string][]blockmask.Block, error) {
	out := map[string][]blockmask.Block{}
	if path == "" {
		return out, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		got := orderLine.FindStringSubmatch(lines.Text())
		if got == nil {
			continue
		}
		var order []blockmask.Block
		for _, word := range strings.Fields(got[2]) {
			m, err := blockmask.Parse(word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			order = append(order, m.Blocks()...)
		}
		if len(order) > len(out[got[1]]) {
			out[got[1]] = order
		}
	}
	return out, lines.Err()
}

// order is what fast removes from the first model, calibrated on a sample of the instructions.
func (r *rig) order(ctx context.Context, path string, seed uint64, n int) ([]blockmask.Block, error) {
	if r.mask != "" {
		masks := strings.Split(r.mask, ";")
		m, err := blockmask.Parse(masks[int(seed-r.from)%len(masks)])
		return m.Blocks(), err
	}
	return r.once(fmt.Sprintf("sample %d: fast on instructions", seed), func() ([]blockmask.Block, error) {
		o, err := r.open(ctx, path)
		if err != nil {
			return nil, err
		}
		defer o.close()
		set, err := perplexity.NewSet(perplexity.Samples, r.calib, o.model, perplexity.SetOptions{Context: r.window, Max: 64, Seed: seed})
		if err != nil {
			return nil, err
		}
		v, err := perplexity.NewEvaluator(o.session, set)
		if err != nil {
			return nil, err
		}
		l := search.NewLedger(v, search.Cost{Blocks: o.session.Blocks()}, nil, "")
		return steps(ctx, strategy.NewFast(l, seed), o.session.Blocks(), n)
	})
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
