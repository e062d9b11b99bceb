package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/repair"
)

var typeName = regexp.MustCompile(`(?i)(F16|BF16|F32|Q\d[_A-Z0-9]*)\.gguf$`)

// repairs measures dense, pruned and repaired models over types, samples and numbers of blocks.
func (r *rig) repairs(ctx context.Context) error {
	models := strings.Split(r.models, ",")
	worse := 0
	for _, path := range models {
		kind := strings.ToLower(typeName.FindString(filepath.Base(path)))
		kind = strings.TrimSuffix(kind, ".gguf")
		shares := map[string][]float64{}
		for seed := r.from; seed < r.from+uint64(r.seeds); seed++ {
			order, err := r.order(ctx, models[0], seed, maxOf(r.blocks))
			if err != nil {
				return err
			}
			for _, n := range numbers(r.blocks) {
				if err := r.repairOne(ctx, path, seed, blockmask.New(order[:n]...), shares, &worse); err != nil {
					return err
				}
			}
		}
		for name, values := range shares {
			r.figure(fmt.Sprintf("repair_share_%s_%s", name, kind), mean(values))
		}
	}
	r.figure("repair_worse_cases", float64(worse))
	return nil
}

func (r *rig) repairOne(ctx context.Context, path string, seed uint64, mask blockmask.Mask, shares map[string][]float64, worse *int) error {
	for _, name := range strings.Split(r.methods, ",") {
		o, err := r.open(ctx, path) // a repair changes the loaded model
		if err != nil {
			return err
		}
		defer o.close()
		dense, err := r.whole(ctx, o, path)
		if err != nil {
			return err
		}
		pruned, err := o.judge(ctx, mask)
		if err != nil {
			return err
		}
		fit, held, err := repair.Batches(o.model, r.texts(), r.window, r.tokens, batchSeqs, seed)
		if err != nil {
			return err
		}
		cpu := cpuSeconds()
		res, err := repair.Run(ctx, o.session, o.weights, repair.Request{Removed: mask, Method: repair.Method(name), Fit: fit, Held: held})
		if err != nil {
			return err
		}
		cpu = cpuSeconds() - cpu
		after, err := o.judge(ctx, mask)
		if err != nil {
			return err
		}
		share := func(d, p, a float64) float64 { return (p - a) / (p - d) }
		shares[fmt.Sprintf("instruct_%d_%s", mask.Len(), name)] = append(shares[fmt.Sprintf("instruct_%d_%s", mask.Len(), name)], share(dense.instruct, pruned.instruct, after.instruct))
		if r.otherCalib != nil {
			shares[fmt.Sprintf("other_%d_%s", mask.Len(), name)] = append(shares[fmt.Sprintf("other_%d_%s", mask.Len(), name)], share(dense.other, pruned.other, after.other))
		}
		if after.instruct > pruned.instruct || after.other > pruned.other {
			*worse++
		}
		fmt.Printf("%s seed %d, %d blocks, %s: instruct %.3f > %.3f > %.3f (%.0f%%)  other %.3f > %.3f > %.3f (%.0f%%)  KLD %.4f > %.4f  %d tensors, %d positions, CPU s %.0f\n",
			filepath.Base(path), seed, mask.Len(), name, dense.instruct, pruned.instruct, after.instruct, 100*share(dense.instruct, pruned.instruct, after.instruct),
			dense.other, pruned.other, after.other, 100*share(dense.other, pruned.other, after.other), pruned.kld, after.kld, len(res.Weights), res.Positions, cpu)
		fmt.Printf("  removed %s\n", mask)
		for _, b := range res.Blocks {
			if b.Skipped != "" {
				fmt.Printf("  %s: %s\n", b.Block, b.Skipped)
			}
		}
	}
	return nil
}

func numbers(list string) (out []int) {
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err == nil {
			out = append(out, n)
		}
	}
	return out
}

func maxOf(list string) int {
	m := 0
	for _, n := range numbers(list) {
		m = max(m, n)
	}
	return m
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
