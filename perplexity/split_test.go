package perplexity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is held out is never seen, nothing is invented, and where documents are to spare the search sees what it would see anyway.
func TestSplitDocuments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &Corpus{Name: "c"}
		for i := range rapid.IntRange(1, 60).Draw(t, "n") {
			c.Documents = append(c.Documents, fmt.Sprint(i))
		}
		o := SetOptions{Max: rapid.IntRange(0, 40).Draw(t, "max"), Seed: rapid.Uint64Range(0, 3).Draw(t, "seed")}
		part := rapid.Float64Range(0.01, 0.5).Draw(t, "part")
		seen, held := c.Split(part, o)
		if held == nil {
			if len(seen.Documents) != len(c.Documents) || len(c.Documents) > 1 && o.Max != 1 {
				t.Fatalf("no split of %d documents", len(c.Documents))
			}
			return
		}
		for _, d := range held.Documents {
			if slices.Contains(seen.Documents, d) {
				t.Fatalf("%s is seen and held out", d)
			}
		}
		n := len(c.Documents)
		if o.Max > 0 {
			n = min(n, o.Max)
		}
		if got := len(held.Documents); got < 1 || float64(got) < part*float64(n)-0.5 || len(seen.Documents) > n {
			t.Fatalf("%d of %d held out for a part of %.2f, %d seen", got, n, part, len(seen.Documents))
		}
		if spare := len(c.Documents) - n; spare >= n {
			for _, i := range choose(len(c.Documents), n, o.Seed) {
				if !slices.Contains(seen.Documents, c.Documents[i]) {
					t.Fatalf("document %d is not seen although there are documents to spare", i)
				}
			}
		}
		for _, half := range []*Corpus{seen, held} {
			if !slices.IsSortedFunc(half.Documents, func(a, b string) int { return len(a)*1000 - len(b)*1000 + strings.Compare(a, b) }) {
				t.Fatalf("not in the order of the file: %v", half.Documents)
			}
		}
	})
}

func TestSplitText(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Some words in a line.\nAnd another line.\n\n", 60)
	seen, held := (&Corpus{Name: "c", Documents: []string{text}, Continuous: true}).Split(0.1, SetOptions{})
	if held == nil || !seen.Continuous || !held.Continuous || seen.Text()+"\n\n"+held.Text() != text {
		t.Fatalf("%+v, %+v", seen, held)
	}
	if part := float64(len(held.Text())) / float64(len(text)); part < 0.09 || part > 0.13 {
		t.Errorf("%.3f is held out", part)
	}
	if _, held := (&Corpus{Documents: []string{strings.Repeat("x", 500)}, Continuous: true}).Split(0.1, SetOptions{}); held != nil {
		t.Error("a text without white space was cut")
	}
}

// sums makes sequences of 10 tokens each with the given mean losses.
func sumsOf(means ...float64) []Sum {
	var out []Sum
	for _, m := range means {
		out = append(out, Sum{NLL: 10 * m, Squares: 10 * m * m, Count: 10})
	}
	return out
}

func TestCarryOver(t *testing.T) {
	t.Parallel()
	before := sumsOf(1, 2, 3, 2)
	change := func(by ...float64) Change {
		after := slices.Clone(before)
		for i := range after {
			after[i] = sumsOf(before[i].Mean() + by[i])[0]
		}
		return NewChange(Samples, before, after)
	}
	small := change(0.1, 0.11, 0.09, 0.1)
	if math.Abs(small.Ratio()-math.Exp(0.1)) > 1e-9 || !(small.StdErr > 0.003 && small.StdErr < 0.005) {
		t.Fatalf("%+v", small)
	}
	broken := change(0.1, math.Inf(1), 0.1, 0.1)
	one := NewChange(Samples, before[:1], sumsOf(1.5))
	for _, tt := range []struct {
		name string
		held Change
		want Verdict
	}{
		{"the same", small, CarriesOver},
		{"better", change(0, 0.01, 0, 0), CarriesOver},
		{"worse by less than two per cent", change(0.11, 0.12, 0.10, 0.11), CarriesOver},
		{"worse", change(0.2, 0.21, 0.19, 0.2), NotOver},
		{"worse, but by chance", change(0.3, -0.1, 0.35, 0.15), CarriesOver},
		{"anything may be", change(3, -2, 2, -1), CannotTell},
		{"one sequence", one, CannotTell},
		{"no number", broken, NotOver},
	} {
		if v, gap, noise := CarryOver(small, tt.held); v != tt.want {
			t.Errorf("%s: %s, gap %.3f, noise %.3f", tt.name, v, gap, noise)
		}
	}
	// By tokens, long sequences count for more.
	if c := NewChange(Windows, []Sum{{NLL: 10, Count: 10}, {NLL: 30, Count: 30}}, []Sum{{NLL: 20, Count: 10}, {NLL: 30, Count: 30}}); math.Abs(c.LogRatio-0.25) > 1e-12 {
		t.Errorf("windows: %+v", c)
	}
}
