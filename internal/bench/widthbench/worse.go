package widthbench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// noise is from how many standard errors on a difference of losses is none by chance.
const noise = 2

// worse sets the default beside blocks with a repair, for each of the models, ratios and seeds, on text that neither has seen: both are
// files that prune wrote, with the same texts. It counts where the default is worse by more than noise.
func worse(ctx context.Context, o options) error {
	texts, err := o.judges()
	if err != nil {
		return err
	}
	dir, err := o.run.temporary()
	if err != nil {
		return err
	}
	ratios, err := numbers(o.ratios)
	if err != nil {
		return err
	}
	cases, bad := 0, 0
	for model := range strings.SplitSeq(o.model, ",") {
		for _, ratio := range ratios {
			for seed := range uint64(o.seeds) {
				c := o
				c.model, c.ratio, c.seed = model, ratio, seed+1
				c.given = maps.Clone(o.given)
				c.given["seed"] = true
				files := []string{filepath.Join(dir, "width.gguf"), filepath.Join(dir, "blocks.gguf")}
				blocks, err := c.blocksArgs()
				if err != nil {
					return err
				}
				for i, extra := range [][]string{nil, blocks} {
					args := append(c.pruneArgs(files[i], files[i]+".plan.json", extra), "--force", "--quiet")
					if _, err := c.command(ctx, nil, args...); err != nil {
						return err
					}
				}
				for _, t := range texts {
					change, err := c.between(ctx, files[1], files[0], t)
					if err != nil {
						return err
					}
					verdict := ""
					cases++
					if change.LogRatio > noise*change.StdErr {
						bad++
						verdict = "  <- worse"
					}
					fmt.Printf("%s, %g%%, seed %d, %s: blocks and repair PPL %.4f, default %.4f, x%.4f (+- %.4f)%s\n", filepath.Base(model), 100*ratio, seed+1,
						t.name, change.Before, change.After, change.Ratio(), change.StdErr, verdict)
				}
			}
		}
	}
	fmt.Printf("\nfigure width_worse_cases %d\nfigure width_worse_cases_of %d\n", bad, cases)
	return nil
}

// between compares two files on a text, in the windows of which the second half counts.
func (o options) between(ctx context.Context, a, b string, t text) (c perplexity.Change, err error) {
	corpus, err := measure.ReadTexts(t.path)
	if err != nil {
		return c, err
	}
	var sums [2][]perplexity.Sum
	for i, path := range []string{a, b} {
		if sums[i], err = o.sums(ctx, path, corpus[0]); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	c = perplexity.NewChange(perplexity.Windows, sums[0], sums[1])
	if math.IsNaN(c.LogRatio) || math.IsNaN(c.StdErr) {
		return c, errors.New("a difference of losses is not a number, or has no error")
	}
	return c, nil
}

// sums are a file's losses on the windows of a text.
func (o options) sums(ctx context.Context, path string, text *perplexity.Corpus) ([]perplexity.Sum, error) {
	src, err := source.Open(ctx, o.spec(path))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	set, err := perplexity.NewSet(perplexity.Windows, text, src.Model, perplexity.SetOptions{Context: o.window, Max: o.judge})
	if err != nil {
		return nil, err
	}
	s, err := src.Session(ctx, batchSeqs, o.window)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	e, err := perplexity.NewEvaluator(s, set)
	if err != nil {
		return nil, err
	}
	which := make([]int, len(set.Sequences))
	for i := range which {
		which[i] = i
	}
	out, _, err := e.Sums(ctx, nil, nil, which)
	return out, err
}

// numbers reads a list such as 0.2,0.33.
func numbers(list string) (out []float64, err error) {
	for s := range strings.SplitSeq(list, ",") {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x > 0 && x < 1) {
			return nil, fmt.Errorf("%q is no part of the parameters, such as 0.2", s)
		}
		out = append(out, x)
	}
	return slices.Compact(out), nil
}
