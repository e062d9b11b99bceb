package write

import (
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/perplexity"
)

func TestCheckVerdict(t *testing.T) {
	t.Parallel()
	row := []float32{1, 2, 3}
	same := func() *rowDiff {
		var c rowDiff
		if err := c.add(0, 0, row, row); err != nil {
			t.Fatal(err)
		}
		return &c
	}
	for _, c := range []struct {
		name            string
		masked, written float64
		rows            int
		rounded         bool
		want            string
	}{
		{"rounded anew", 7, 7.3, 1, true, ""},
		{"rounded anew, and wrong", 7, 7.4, 1, true, "perplexity is 7.4000"},
		{"same", 7, 7, 1, false, ""},
		{"rounding", 7, 7.001, 1, false, ""},
		{"worse", 7, 7.1, 1, false, "perplexity is 7.1000"},
		{"better is wrong too", 7, 6.9, 1, false, "perplexity is 6.9000"},
		{"rows missing", 7, 7, 2, false, "1 of 2 positions"},
	} {
		k := Check{Rounded: c.rounded, Masked: perplexity.Estimate{PPL: c.masked}, Written: perplexity.Estimate{PPL: c.written}}
		if got := k.verdict(same(), c.rows); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: verdict %q, want %q", c.name, got, c.want)
		}
	}
}
