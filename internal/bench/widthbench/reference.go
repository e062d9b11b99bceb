package widthbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
)

// referenceFit is what an independent program (PyTorch, F32) did, as scripts/width_reference.py writes it.
type referenceFit struct {
	Length    int                `json:"length"`    // tokens of a sequence
	Sequences [][]engine.Token   `json:"sequences"` // in the order of the fit
	Held      []int              `json:"held"`      // which of them only choose lambda
	Kept      [][]int            `json:"kept"`      // by layer: channels that stay
	Lambda    map[string]float64 `json:"lambda"`    // by projection ("0 ffn"); 0: it stayed as it was
	Texts     []struct {
		Name    string           `json:"name"`
		Windows [][]engine.Token `json:"windows"`
		Whole   float64          `json:"whole"`  // perplexity before
		Fitted  float64          `json:"fitted"` // and after
	} `json:"texts"`
}

// readReference reads the file of the reference.
func readReference(path string) (*referenceFit, error) {
	if path == "" {
		return nil, errors.New("the part reference needs -reference FILE.json; scripts/width_reference.py writes one")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ref := &referenceFit{}
	if err := json.Unmarshal(raw, ref); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(ref.Kept) == 0 || slices.ContainsFunc(ref.Kept, func(k []int) bool { return len(k) == 0 }) || len(ref.Texts) == 0 {
		return nil, fmt.Errorf("%s has no channels or no texts; write it anew with scripts/width_reference.py", path)
	}
	all := slices.Clone(ref.Sequences)
	for _, t := range ref.Texts {
		all = append(all, t.Windows...)
	}
	for _, ids := range all {
		if ref.Length < 2 || len(ids) != ref.Length {
			return nil, fmt.Errorf("%s has a sequence of %d tokens, not %d", path, len(ids), ref.Length)
		}
	}
	return ref, nil
}

// batches are the reference's sequences in its order, those to fit on and those held back.
func (f *referenceFit) batches() (fitted, held [][]engine.Sequence) {
	var all [2][]engine.Sequence
	for i, ids := range f.Sequences {
		part := 0
		if slices.Contains(f.Held, i) {
			part = 1
		}
		// A fit wants a target at the last position, too; it does not count.
		all[part] = append(all[part], engine.Sequence{Tokens: ids, Targets: append(slices.Clone(ids[1:]), 0)})
	}
	return slices.Collect(slices.Chunk(all[0], batchSeqs)), slices.Collect(slices.Chunk(all[1], batchSeqs))
}

// sets are the reference's windows, in which every target counts. All have the same length, so it does not matter that
// [perplexity.Samples] means sequences.
func (f *referenceFit) sets() (sets []*perplexity.Set) {
	for _, t := range f.Texts {
		set := &perplexity.Set{Convention: perplexity.Samples, Corpus: t.Name, Context: f.Length}
		for _, ids := range t.Windows {
			set.Sequences = append(set.Sequences, engine.Sequence{Tokens: ids, Targets: append(slices.Clone(ids[1:]), engine.Unscored)})
		}
		sets = append(sets, set)
	}
	return sets
}

// reference fits on the reference's tokens, and compares the channels that stay and the perplexities.
func reference(ctx context.Context, o options) error {
	ref, err := readReference(o.reference)
	if err != nil {
		return err
	}
	r, err := o.open(ctx, ref.Length)
	if err != nil {
		return err
	}
	defer r.close()
	widths, err := r.channels()
	if err != nil {
		return err
	}
	if len(widths) != len(ref.Kept) {
		return fmt.Errorf("%s has %d FFNs, the reference %d; was it another model?", o.model, len(widths), len(ref.Kept))
	}
	for b := range widths {
		widths[b] = len(ref.Kept[b.Layer])
	}
	sets := ref.sets()
	whole, err := r.perplexities(ctx, sets)
	if err != nil {
		return err
	}
	fitted, held := ref.batches()
	res, cpu, err := r.fit(ctx, widths, fitted, held)
	if err != nil {
		return err
	}
	after, err := r.perplexities(ctx, sets)
	if err != nil {
		return err
	}
	fmt.Printf("%s: fitted on %d positions in %.0f CPU s\n", o.model, res.Positions, cpu)
	agree := ref.compareChannels(res)
	worst := 0.0
	for i, t := range ref.Texts {
		diff := 100 * (after[i]/t.Fitted - 1)
		worst = math.Max(worst, math.Abs(diff))
		fmt.Printf("  %s: whole %.4f, reference %.4f (%+.3f%%); fitted %.4f, reference %.4f (%+.3f%%)\n",
			t.Name, whole[i], t.Whole, 100*(whole[i]/t.Whole-1), after[i], t.Fitted, diff)
	}
	fmt.Printf("\nfigure width_ref_agree %.4f\nfigure width_ref_ppl_pct %.3f\n", agree, worst)
	return nil
}

// compareChannels prints what became of each block beside the reference's lambda. It returns the mean over the layers of the part of the
// reference's channels that stay here, too.
func (f *referenceFit) compareChannels(res *fit.Result) float64 {
	for _, b := range res.Blocks {
		kind, agree := "attn", ""
		if b.Block.Kind == blockmask.FFN {
			kind, agree = "ffn", fmt.Sprintf(", channels agree %.4f", common(res.Narrowed[b.Block].Kept, f.Kept[b.Block.Layer]))
		}
		outcome := fmt.Sprintf("held-out loss %.4f -> %.4f", b.Before, b.After)
		if b.Skipped != "" {
			outcome = b.Skipped
		}
		fmt.Printf("  %-8s lambda %-4g (reference %g)%s, %s\n",
			b.Block, b.Lambda, f.Lambda[fmt.Sprintf("%d %s", b.Block.Layer, kind)], agree, outcome)
	}
	sum := 0.0
	for layer, kept := range f.Kept {
		sum += common(res.Narrowed[blockmask.Block{Layer: layer, Kind: blockmask.FFN}].Kept, kept)
	}
	return sum / float64(len(f.Kept))
}

// common is the part of the reference's channels that ours contain.
func common(ours blockmask.Indices, reference []int) float64 {
	n := 0
	for _, c := range reference {
		if ours.Contains(c) {
			n++
		}
	}
	return float64(n) / float64(len(reference))
}
