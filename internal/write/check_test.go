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
		want            string
	}{
		{"same", 7, 7, 1, ""},
		{"rounding", 7, 7.001, 1, ""},
		{"worse", 7, 7.1, 1, "perplexity is 7.1000"},
		{"better is wrong too", 7, 6.9, 1, "perplexity is 6.9000"},
		{"rows missing", 7, 7, 2, "1 of 2 positions"},
	} {
		k := Check{Masked: perplexity.Estimate{PPL: c.masked}, Written: perplexity.Estimate{PPL: c.written}}
		if got := k.verdict(same(), c.rows); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: verdict %q, want %q", c.name, got, c.want)
		}
	}
}
