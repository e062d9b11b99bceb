package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// strategies puts every strategy and baseline into one table, on one calibration sample.
func (r *rig) strategies(ctx context.Context) error {
	norms, err := r.norms()
	if err != nil {
		return err
	}
	rows := []struct {
		name string
		unit blockmask.Unit
		make func(*search.Ledger) search.Strategy
	}{
		{"greedy (BlockPruner)", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.Greedy{Scorer: l} }},
		{"fast", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.NewFast(l, 1) }},
		{"fast, layers (SLEB)", blockmask.Whole, func(l *search.Ledger) search.Strategy { return search.NewFast(l, 1) }},
		{"fast, pairs", blockmask.Pairs, func(l *search.Ledger) search.Strategy { return search.NewFast(l, 1) }},
		{"oneshot", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.Oneshot(l) }},
		{"bi", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.BI(l, r.influence) }},
		{"bi, layers (ShortGPT)", blockmask.Whole, func(l *search.Ledger) search.Strategy { return search.BI(l, r.influence) }},
		{"magnitude", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.Magnitude(l, norms) }},
		{"random", blockmask.Mix, func(l *search.Ledger) search.Strategy { return search.Random(l, 1) }},
	}
	fmt.Printf("%-22s %6s  %-11s %-9s %-8s  %s\n", "", "blocks", "calibration", "held-out", "KLD", "cost, CPU s")
	best := map[int]float64{}
	var behind []string
	for i, row := range rows {
		l, err := r.ledger(ctx, perplexity.NLL, r.n, 1, nil)
		if err != nil {
			return err
		}
		f, err := r.search(ctx, l, row.make(l), row.unit, 8)
		if err != nil {
			fmt.Printf("%-22s %v\n", row.name, err)
			continue
		}
		for _, k := range []int{4, 6, 8} {
			m := f.mask(k)
			calib, _, err := l.Score(ctx, m, nil)
			if err != nil {
				return err
			}
			ppl, kld, err := r.heldOutBoth(ctx, m)
			if err != nil {
				return err
			}
			cost := ""
			if k == 8 {
				cost = fmt.Sprintf("%.4f %6.0f", f.cost, f.cpu)
			}
			fmt.Printf("%-22s %6d  %-11.4f %-9.4f %-8.4f  %s\n", row.name, len(m), calib, ppl, kld, cost)
			if i == 0 {
				best[k] = ppl
			} else if ppl < best[k] && i > 3 {
				behind = append(behind, fmt.Sprintf("%s at %d", row.name, k))
			}
		}
	}
	if len(behind) > 0 {
		fmt.Printf("BlockPruner's order does not beat: %v\n", behind)
	} else {
		fmt.Println("BlockPruner's order beats every baseline at 4, 6 and 8 blocks.")
	}
	return nil
}

func (r *rig) heldOutBoth(ctx context.Context, m blockmask.Mask) (ppl, kld float64, err error) {
	if ppl, err = r.heldOutPPL(ctx, m); err != nil {
		return 0, 0, err
	}
	kld, err = r.heldOutKLD(ctx, m)
	return ppl, kld, err
}

// influence measures Block Influence on the first calibration sample.
func (r *rig) influence(ctx context.Context) (perplexity.Influence, error) {
	set, err := r.set(ctx, perplexity.NLL, r.n, 1)
	if err != nil {
		return perplexity.Influence{}, err
	}
	var got []perplexity.Influence
	for from := 0; from+batchSeqs <= len(set.Sequences); from += batchSeqs {
		part, err := r.session.Influence(ctx, set.Sequences[from:from+batchSeqs])
		if err != nil {
			return perplexity.Influence{}, err
		}
		got = append(got, part)
	}
	return search.MeanInfluence(got), nil
}

// norms returns the root mean square of a block's weights. It reads Q8_0 and F32.
func (r *rig) norms() (func(blockmask.Block) (float64, error), error) {
	file, err := gguf.Open(r.options.model)
	if err != nil {
		return nil, err
	}
	return func(b blockmask.Block) (float64, error) {
		sum, n := 0.0, 0.0
		for _, name := range r.session.Weights(b) {
			t, ok := file.Tensor(name)
			if !ok {
				return 0, fmt.Errorf("no tensor %s", name)
			}
			data, err := io.ReadAll(file.Data(t))
			if err != nil {
				return 0, err
			}
			s, k, err := squares(t, data)
			if err != nil {
				return 0, err
			}
			sum, n = sum+s, n+k
		}
		return math.Sqrt(sum / n), nil
	}, nil
}

// squares returns the sum of the squares of a tensor's weights and their number.
func squares(t gguf.Tensor, data []byte) (sum, n float64, err error) {
	switch t.Type {
	case gguf.Q8_0: // blocks of a float16 scale and 32 signed bytes
		for ; len(data) >= 34; data = data[34:] {
			d := half(binary.LittleEndian.Uint16(data))
			for _, q := range data[2:34] {
				x := d * float64(int8(q))
				sum, n = sum+x*x, n+1
			}
		}
	case gguf.F32:
		for ; len(data) >= 4; data = data[4:] {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
			sum, n = sum+x*x, n+1
		}
	default:
		return 0, 0, fmt.Errorf("%s has type %s; only Q8_0 and F32 are read here", t.Name, t.Type.Name())
	}
	return sum, n, nil
}

// half decodes a float16.
func half(h uint16) float64 {
	mantissa, exponent := float64(h&0x3ff), int(h>>10&0x1f)
	x := math.Ldexp(1+mantissa/1024, exponent-15)
	if exponent == 0 {
		x = math.Ldexp(mantissa/1024, -14)
	}
	if h&0x8000 != 0 {
		return -x
	}
	return x
}
