package main

import (
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Thinning keeps a part of the positions, the same for the same seed, with their references.
func TestThin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := referenced()
		part := rapid.Float64Range(0, 1).Draw(rt, "part")
		seed := rapid.Uint64().Draw(rt, "seed")
		got := thinned(set, part, seed)
		if diff := cmp.Diff(got, thinned(set, part, seed)); diff != "" {
			rt.Fatal(diff)
		}
		for i, s := range got.Sequences {
			whole := set.Sequences[i]
			want := max(1, int(math.Round(part*float64(whole.Scored()))))
			if s.Scored() != want || !slices.Equal(s.Tokens, whole.Tokens) || len(s.Ref.IDs) != 2*s.Scored() {
				rt.Fatalf("sequence %d: %d of %d scored, want %d", i, s.Scored(), whole.Scored(), want)
			}
			at, k := 0, 0
			for p, target := range whole.Targets {
				if target < 0 {
					continue
				}
				if s.Targets[p] >= 0 {
					if s.Targets[p] != target || s.Ref.IDs[2*k] != whole.Ref.IDs[2*at] || s.Ref.LogProbs[2*k+1] != whole.Ref.LogProbs[2*at+1] {
						rt.Fatalf("sequence %d position %d has another target or reference", i, p)
					}
					k++
				}
				at++
			}
		}
	})
	set := referenced()
	if diff := cmp.Diff(set, thinned(set, 1, 5)); diff != "" {
		t.Errorf("all positions:\n%s", diff)
	}
	if thinned(set, .5, 1).SHA256() == thinned(set, .5, 2).SHA256() {
		t.Error("two seeds choose the same positions")
	}
}

// The best part has the least cost times variance of all.
func TestLeastPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) float64 { return rapid.Float64Range(.01, 100).Draw(t, name) }
		blocks, head, between, within := draw("blocks"), draw("head"), draw("between"), draw("within")
		value := func(part float64) float64 { return (blocks + part*head) * (between + within/part) }
		best := leastPart(blocks, head, between, within)
		if !(best > 0 && best <= 1) {
			t.Fatal(best)
		}
		for part := 0.01; part <= 1; part += 0.01 {
			if value(part) < value(best)*(1-1e-9) {
				t.Fatalf("%v is better than %v", part, best)
			}
		}
	})
	for _, p := range []float64{leastPart(1, 0, 1, 1), leastPart(1, 1, 0, 1), leastPart(1, 1, math.NaN(), 1)} {
		if p != 1 {
			t.Errorf("best part %v, want all", p)
		}
	}
}

// referenced is a set of three sequences, with references of two tokens at each scored position.
func referenced() *perplexity.Set {
	set := &perplexity.Set{Convention: perplexity.Samples}
	for n := range 3 {
		q := engine.Sequence{Ref: &engine.Reference{K: 2}}
		for p := range 5 + 3*n {
			target := engine.Token(10*n + p)
			if p == 0 {
				target = engine.Unscored
			} else {
				q.Ref.IDs = append(q.Ref.IDs, target, target+1)
				q.Ref.LogProbs = append(q.Ref.LogProbs, -float32(p), -float32(p)-1)
			}
			q.Tokens, q.Targets = append(q.Tokens, engine.Token(p)), append(q.Targets, target)
		}
		set.Sequences = append(set.Sequences, q)
	}
	return set
}
