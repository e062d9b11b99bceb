package write

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func genLogits(t *rapid.T, n int) []float32 {
	return rapid.SliceOfN(rapid.Float32Range(-50, 50), n, n).Draw(t, "logits")
}

func TestLogProbsSumToOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sum := 0.0
		for _, lp := range logProbs(nil, genLogits(t, rapid.IntRange(1, 64).Draw(t, "n"))) {
			sum += math.Exp(lp)
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("probabilities sum to %v", sum)
		}
	})
}

func TestRowDiffIdentical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c rowDiff
		for i := range rapid.IntRange(1, 5).Draw(t, "rows") {
			row := genLogits(t, 16)
			if err := c.add(0, i, row, row); err != nil {
				t.Fatal(err)
			}
		}
		if c.maxAbs != 0 || c.nmse() != 0 || c.verdict(true) != "" {
			t.Fatalf("max %v, NMSE %v, verdict %q for identical rows", c.maxAbs, c.nmse(), c.verdict(true))
		}
	})
}

// One changed logit is always found where rows must be identical, at its place.
func TestRowDiffFindsOneChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c rowDiff
		rows := rapid.IntRange(1, 5).Draw(t, "rows")
		bad := rapid.IntRange(0, rows-1).Draw(t, "bad")
		for i := range rows {
			row := genLogits(t, 16)
			other := append([]float32(nil), row...)
			if i == bad {
				other[rapid.IntRange(0, 15).Draw(t, "token")] = 51
			}
			if err := c.add(3, i, row, other); err != nil {
				t.Fatal(err)
			}
		}
		if c.verdict(true) == "" || c.worstPos != bad || c.worstSeq != 3 || c.differingRows != 1 {
			t.Fatalf("verdict %q at %d (want %d), %d rows differ", c.verdict(true), c.worstPos, bad, c.differingRows)
		}
	})
}

func TestRowDiffTolerance(t *testing.T) {
	t.Parallel()
	ref := []float32{1, 2, 3, 4}
	for _, c := range []struct {
		name  string
		got   []float32
		exact bool
		want  string
	}{
		{"rounding, reordered", []float32{1, 2, 3, 4.0001}, false, ""},
		{"rounding, exact", []float32{1, 2, 3, 4.0001}, true, "must be identical"},
		{"wrong, reordered", []float32{1, 2, 4, 3}, false, "NMSE"},
		{"NaN", []float32{1, 2, 3, float32(math.NaN())}, false, "not finite"},
		{"infinite", []float32{1, 2, 3, float32(math.Inf(1))}, false, "not finite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var cmp rowDiff
			if err := cmp.add(0, 7, ref, c.got); err != nil {
				t.Fatal(err)
			}
			got := cmp.verdict(c.exact)
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
		})
	}
	// The original itself gives no numbers: nothing can be said about the file.
	var c rowDiff
	nan := []float32{float32(math.NaN()), 1, 2, 3}
	if err := c.add(0, 0, nan, nan); err != nil {
		t.Fatal(err)
	}
	if c.verdict(false) == "" {
		t.Error("NaN against NaN passes")
	}
	if (&rowDiff{}).verdict(false) == "" {
		t.Error("comparing nothing passes")
	}
}

func TestRowDiffVocabulary(t *testing.T) {
	t.Parallel()
	var c rowDiff
	if err := c.add(0, 0, make([]float32, 3), make([]float32, 4)); err == nil {
		t.Error("another vocabulary size is no error")
	}
}
