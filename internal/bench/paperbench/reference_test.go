package paperbench

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// small is what the script writes of a model with two layers.
const small = `{"model_sha256": "ab", "threads": 2, "batch": 8, "documents": [[1, 7, 9, 4, 4], [1, 5, 6]], "versions": {"torch": "2"},
	"load_cpu_s": 1, "whole": {"ppl": 50, "cpu_s": 1}, "steps": [
	{"candidates": [{"block": "attn:0", "ppl": 60}, {"block": "ffn:0", "ppl": null}, {"block": "attn:1", "ppl": 61}, {"block": "ffn:1", "ppl": 62}],
		"removed": "attn:0", "cpu_s": 4},
	{"candidates": [{"block": "ffn:0", "ppl": 80}, {"block": "attn:1", "ppl": 81}, {"block": "ffn:1", "ppl": 70}], "removed": "ffn:1", "cpu_s": 3}]}`

func read(t *testing.T, text string) (*reference, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reference.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readReference(path)
}

// Every document is a sequence of which each token but the first is predicted, and a perplexity that is null is infinite.
func TestReference(t *testing.T) {
	t.Parallel()
	ref, err := read(t, small)
	if err != nil {
		t.Fatal(err)
	}
	set := ref.set()
	if set.Convention != perplexity.Samples || set.Context != 5 || len(set.Sequences) != 2 ||
		!slices.Equal(set.Sequences[0].Targets, []engine.Token{7, 9, 4, 4, engine.Unscored}) || !slices.Equal(set.Sequences[1].Tokens, []engine.Token{1, 5, 6}) {
		t.Errorf("set %+v", set)
	}
	if !math.IsInf(ref.Steps[0].ppl["ffn:0"], 1) || ref.Steps[1].ppl["ffn:1"] != 70 || ref.Steps[1].removed.String() != "ffn:1" {
		t.Errorf("steps %+v", ref.Steps)
	}
}

func TestReferenceRefused(t *testing.T) {
	t.Parallel()
	change := func(old, by string) string { return strings.Replace(small, old, by, 1) }
	for text, want := range map[string]string{
		"{}":                                   "no steps",
		"[":                                    "unexpected end",
		change("[1, 5, 6]", "[1]"):             "without a token to predict",
		change(`"threads": 2`, `"threads": 0`): "does not say how",
		change(`"removed": "ffn:1"`, `"removed": "attn:0"`):       "removes attn:0 in step 2, which is no candidate there",
		change(`"removed": "ffn:1"`, `"removed": "ffn:0-1"`):      "where one block belongs",
		change(`{"block": "attn:1"`, `{"block": "self_attn.1.q"`): "in step 1",
	} {
		if _, err := read(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// session is one of a model with so many layers, without llama.cpp.
func session(t *testing.T, layers int) engine.Session {
	t.Helper()
	path := gguftest.Write(t, t.TempDir(), "m", gguftest.Llama(layers, 1))
	src, err := source.Open(t.Context(), source.Spec{Engine: enginetest.Runtime{}, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(src.Close)
	s, err := src.Session(t.Context(), 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Our step is greedy's on the reference's documents, and the next one is about what the reference removed, not about what we chose.
func TestAlongside(t *testing.T) {
	t.Parallel()
	ref, err := read(t, small)
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, 2)
	v, err := perplexity.NewEvaluator(s, ref.set())
	if err != nil {
		t.Fatal(err)
	}
	for _, theirs := range [][2]string{{"attn:0", "ffn:0"}, {"ffn:0", "attn:0"}, {"attn:1", "ffn:1"}} {
		steps := slices.Clone(ref.Steps)
		var removed blockmask.Mask
		for i := range steps {
			if steps[i].removed, err = blockmask.Parse(theirs[i]); err != nil {
				t.Fatal(err)
			}
			steps[i].ppl = map[string]float64{}
			for _, c := range blockmask.Candidates(blockmask.Mix, s.Blocks(), removed) {
				steps[i].ppl[c.String()] = 1
			}
			removed = removed.Union(steps[i].removed)
		}
		ours, err := alongside(t.Context(), s, ref.set(), steps)
		if err != nil {
			t.Fatal(err)
		}
		removed = nil
		for i, our := range ours {
			candidates := blockmask.Candidates(blockmask.Mix, s.Blocks(), removed)
			base, want, err := v.Score(t.Context(), removed, candidates)
			if err != nil || len(our.Scored) != len(want) || our.Base != base || our.Scored[our.Best].Score != slices.Min(want) {
				t.Fatalf("%v, step %d: %+v, want base %g, %v; %v", theirs, i+1, our, base, want, err)
			}
			for j, c := range our.Scored {
				if !c.Mask.Equal(candidates[j]) || c.Score != want[j] {
					t.Errorf("%v, step %d: %s %g, want %s %g", theirs, i+1, c.Mask, c.Score, candidates[j], want[j])
				}
			}
			removed = removed.Union(steps[i].removed)
		}
	}
}

func TestAnotherModel(t *testing.T) {
	t.Parallel()
	ref, err := read(t, small)
	if err != nil {
		t.Fatal(err)
	}
	for layers, want := range map[int]string{1: "the reference has 4 candidates, we have 2", 3: "attn:2 is no candidate of the reference"} {
		if _, err := alongside(t.Context(), session(t, layers), ref.set(), ref.Steps); err == nil || !strings.Contains(err.Error(), "step 1: "+want) {
			t.Errorf("%d layers: %v, want %q", layers, err, want)
		}
	}
}
