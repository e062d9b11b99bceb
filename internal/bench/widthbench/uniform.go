package widthbench

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/perplexity"
)

// uniformText is what the part uniform fits on where no text is given.
const uniformText = "testdata/simple.jsonl"

// uniform leaves every FFN the same number of channels. The texts are judged in windows of which the second half counts.
func uniform(ctx context.Context, o options) error {
	r, err := o.open(ctx, o.window)
	if err != nil {
		return err
	}
	defer r.close()
	widths, err := r.channels()
	if err != nil {
		return err
	}
	full := widths[blockmask.Block{Kind: blockmask.FFN}]
	for b, n := range widths {
		widths[b] = o.width
		if o.width == 0 {
			widths[b] = n * 2 / 3
		}
	}
	judged, err := measure.ReadTexts(o.judgeTexts)
	if err != nil {
		return err
	}
	var sets []*perplexity.Set
	for _, c := range judged {
		set, err := perplexity.NewSet(perplexity.Windows, c, r.model, perplexity.SetOptions{Context: o.window, Max: o.judge})
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	before, err := r.perplexities(ctx, sets)
	if err != nil {
		return err
	}
	texts, err := measure.ReadTexts(cmp.Or(o.fitTexts, uniformText))
	if err != nil {
		return err
	}
	fitted, held, err := fit.Batches(r.model, texts, o.window, o.tokens, batchSeqs, o.seed)
	if err != nil {
		return err
	}
	res, cpu, err := r.fit(ctx, widths, fitted, held)
	if err != nil {
		return err
	}
	after, err := r.perplexities(ctx, sets)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d channels, fitted on %d positions in %.0f CPU s\n", o.model, widths[blockmask.Block{Kind: blockmask.FFN}], full, res.Positions, cpu)
	for i, name := range strings.Split(o.judgeTexts, ",") {
		fmt.Printf("  %s: %.3f -> %.3f, x%.3f\n", name, before[i], after[i], after[i]/before[i])
	}
	return nil
}
