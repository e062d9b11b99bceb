package fit_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
)

// words is a tokenizer whose tokens are the words of a text, by their position.
type words struct{ engine.Tokenizer }

func (words) AddBOS() bool      { return false }
func (words) BOS() engine.Token { return -1 }
func (words) Tokenize(text string, _, _ bool) ([]engine.Token, error) {
	out := make([]engine.Token, len(strings.Fields(text)))
	for i := range out {
		out[i] = engine.Token(i)
	}
	return out, nil
}

// Of a long text less is held back than of a short one, nothing is in both parts, and fewer positions are a part of more.
func TestCut(t *testing.T) {
	t.Parallel()
	const length = 5
	text := perplexity.Special("words", []string{strings.Repeat("w ", 200*length)})
	cut := func(held fit.Held, sequences int) (fitted, back []engine.Token) {
		p, err := fit.Cut(words{}, []fit.Material{{Corpus: text, Share: 1}}, held, length, sequences*length, 7, 1)
		if err != nil {
			t.Fatal(err)
		}
		if planned := fit.Planned([]fit.Material{{Share: 1}}, length, sequences*length); p.Positions() != sequences*length || planned != p.Positions() {
			t.Errorf("%d positions of %d sequences, planned are %d", p.Positions(), sequences, planned)
		}
		starts := func(batches [][]engine.Sequence) (out []engine.Token) {
			for _, batch := range batches {
				for _, q := range batch {
					out = append(out, q.Tokens[0])
				}
			}
			return out
		}
		fitted, back = starts(p.Fit), starts(p.Held)
		if all := slices.Concat(fitted, back); len(p.HeldOf) != len(back) || len(slices.Compact(slices.Sorted(slices.Values(all)))) != sequences {
			t.Errorf("%d sequences: %d fitted, %d held back, of %d kinds", sequences, len(fitted), len(back), len(p.HeldOf))
		}
		return fitted, back
	}
	for _, tt := range []struct {
		sequences, quarter, few int
	}{{4, 1, 1}, {8, 2, 2}, {16, 4, 3}, {160, 40, 12}} {
		fitted, back := cut(fit.Quarter, tt.sequences)
		if len(back) != tt.quarter {
			t.Errorf("a quarter of %d sequences is %d", tt.sequences, len(back))
		}
		fittedMore, backMore := cut(fit.Quarter, tt.sequences+20)
		if !slices.Equal(fittedMore[:len(fitted)], fitted) || !slices.Equal(backMore[:len(back)], back) {
			t.Errorf("%d sequences are no part of more", tt.sequences)
		}
		if _, back = cut(fit.Few, tt.sequences); len(back) != tt.few {
			t.Errorf("few of %d sequences are %d", tt.sequences, len(back))
		}
	}
	pair := []fit.Material{{Corpus: text, Share: 0.9}, {Corpus: text, Share: 0.1}}
	p, err := fit.Cut(words{}, pair, fit.Few, length, 20*length, 7, 1)
	if planned := fit.Planned(pair, length, 20*length); err != nil || planned != 22*length || p.Positions() != planned {
		t.Errorf("%d positions of two texts, %v", planned, err)
	}
	if _, err := fit.Cut(words{}, []fit.Material{{Corpus: perplexity.Special("short", []string{"w w w"}), Share: 1}}, fit.Few, length, 100, 7, 1); err == nil {
		t.Error("a text of three words was cut")
	}
}

// Texts that come with the program are left out where sequences are too long for them, and the others share what they had.
func TestEnough(t *testing.T) {
	t.Parallel()
	text := func(name string, n int) *perplexity.Corpus {
		return perplexity.Special(name, []string{strings.Repeat("w ", n)})
	}
	all := []fit.Material{
		{Corpus: text("user's", 30), Share: 0.5},
		{Corpus: text("long", 400), Share: 0.25, Optional: true},
		{Corpus: text("short", 39), Share: 0.25, Optional: true},
	}
	got, err := fit.Enough(words{}, all, 10)
	if err != nil || len(got) != 2 || got[0].Name != "user's" || math.Abs(got[0].Share-2./3) > 1e-9 || math.Abs(got[1].Share-1./3) > 1e-9 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = fit.Enough(words{}, all, 9); err != nil || len(got) != 3 || got[2].Share != 0.25 {
		t.Errorf("%+v, %v", got, err)
	}
}
