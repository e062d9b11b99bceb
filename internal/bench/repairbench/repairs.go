package repairbench

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
)

var typeName = regexp.MustCompile(`(?i)(F16|BF16|F32|Q\d[_A-Z0-9]*)\.gguf$`)

// repairs measures dense, pruned and repaired models over types, samples and numbers of blocks.
func repairs(ctx context.Context, r *rig) error {
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
				if err := repairOne(ctx, r, path, seed, blockmask.New(order[:n]...), shares, &worse); err != nil {
					return err
				}
			}
		}
		suffix := map[string]string{"f16": "", "q8_0": "_q8", "q4_0": "_q4"}
		end, ok := suffix[kind]
		if !ok {
			end = "_" + kind
		}
		for name, values := range shares {
			r.figure("repair_share_"+name+end, mean(values))
		}
	}
	r.figure("repair_worse_cases", float64(worse))
	return nil
}

func repairOne(ctx context.Context, r *rig, path string, seed uint64, mask blockmask.Mask, shares map[string][]float64, worse *int) error {
	for _, name := range strings.Split(r.methods, ",") {
		got, err := r.judgeRepaired(ctx, path, seed, mask, fit.Method(name))
		if err != nil {
			return err
		}
		share := func(what string, dense, pruned, after float64) float64 {
			part := (pruned - after) / (pruned - dense)
			key := fmt.Sprintf("%s_%d", what, mask.Len())
			if name == string(fit.Map) {
				key += "_map"
			}
			shares[key] = append(shares[key], part)
			return 100 * part
		}
		dense, pruned, after := got.dense, got.before, got.after
		fmt.Printf("%s seed %d, %d blocks, %s: instruct %.3f > %.3f > %.3f (%.0f%%)", filepath.Base(path), seed, mask.Len(), name,
			dense.instruct, pruned.instruct, after.instruct, share("instruct", dense.instruct, pruned.instruct, after.instruct))
		if r.otherCalib != nil {
			fmt.Printf("  other %.3f > %.3f > %.3f (%.0f%%)", dense.other, pruned.other, after.other, share("other", dense.other, pruned.other, after.other))
		}
		fmt.Printf("  KLD %.4f > %.4f  %d tensors, %d positions, CPU s %.0f\n  removed %s\n", pruned.kld, after.kld, len(got.repair.Weights), got.repair.Positions, got.cpu, mask)
		if after.instruct > pruned.instruct || after.other > pruned.other {
			*worse++
		}
		for _, b := range got.repair.Blocks {
			if b.Skipped != "" {
				fmt.Printf("  %s: %s\n", b.Block, b.Skipped)
			}
		}
	}
	return nil
}
