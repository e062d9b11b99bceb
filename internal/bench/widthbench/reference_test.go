package widthbench

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
)

const small = `{"length": 3,
	"sequences": [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13, 14]], "held": [0, 4],
	"kept": [[0, 2], [1, 3]], "lambda": {"0 ffn": 0.03, "1 attn": null},
	"texts": [{"name": "a", "windows": [[1, 2, 3]], "whole": 2, "fitted": 3}]}`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reference.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The fit sees the reference's sequences in its order, and what the reference held back is held back.
func TestReferenceBatches(t *testing.T) {
	t.Parallel()
	ref, err := readReference(write(t, small))
	if err != nil {
		t.Fatal(err)
	}
	fitted, held := ref.batches()
	for _, c := range []struct {
		got   [][]engine.Sequence
		first []engine.Token
	}{{fitted, []engine.Token{3, 6, 9}}, {held, []engine.Token{0, 12}}} {
		var first []engine.Token
		for _, q := range slices.Concat(c.got...) {
			first = append(first, q.Tokens[0])
			if !slices.Equal(q.Targets, []engine.Token{q.Tokens[1], q.Tokens[2], 0}) {
				t.Errorf("targets %v of %v", q.Targets, q.Tokens)
			}
		}
		if !slices.Equal(first, c.first) {
			t.Errorf("sequences that begin with %v, want %v", first, c.first)
		}
	}
	sets := ref.sets()
	if len(sets) != 1 || !slices.Equal(sets[0].Sequences[0].Targets, []engine.Token{2, 3, engine.Unscored}) {
		t.Errorf("sets %+v", sets)
	}
}

func TestReferenceRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{}": "no channels",
		strings.Replace(small, "[0, 2]", "[]", 1):       "no channels",
		strings.Replace(small, "[9, 10, 11]", "[9]", 1): "1 tokens, not 3",
	} {
		if _, err := readReference(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Layer 0 has both of the reference's channels, layer 1 one of two.
func TestCompareChannels(t *testing.T) {
	t.Parallel()
	ref, err := readReference(write(t, small))
	if err != nil {
		t.Fatal(err)
	}
	res := &fit.Result{Narrowed: map[blockmask.Block]fit.Narrowed{}}
	for layer, kept := range [][]int{{0, 2}, {0, 1}} {
		x, err := blockmask.NewIndices(kept)
		if err != nil {
			t.Fatal(err)
		}
		res.Narrowed[blockmask.Block{Layer: layer, Kind: blockmask.FFN}] = fit.Narrowed{Kept: x}
	}
	if got := ref.compareChannels(res); math.Abs(got-0.75) > 1e-12 {
		t.Errorf("agreement %g, want 0.75", got)
	}
}
