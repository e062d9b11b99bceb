package flags

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/internal/format"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"1", 1},
		{"1000000", 1000000},
		{"12B", 12},
		{"3.2GiB", 3435973837},
		{"3.2 gib", 3435973837},
		{"800MB", 800000000},
		{"800MiB", 800 << 20},
		{"1.5kB", 1500},
		{"1KiB", 1024},
		{"2TB", 2e12},
		{"1e3KB", 1000000},
	} {
		got, err := parseSize(c.in)
		if err != nil || got != c.want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "GiB", "3.2G", "-1GiB", "0", "0.1B", "1e30GiB", "inf", "NaN", "nanb", "0x10", "1_000", "3,2GiB", "3.2GiBs"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, got)
		} else if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("parseSize(%q): %v is no mistake on the command line", in, err)
		}
	}
}

// What format.Size prints, parseSize reads back, within the three digits printed.
func TestSizeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<42).Draw(t, "n")
		back, err := parseSize(format.Size(n))
		if err != nil {
			t.Fatal(err)
		}
		if rel := math.Abs(float64(back-n)) / float64(n); rel > 0.006 {
			t.Fatal(fmt.Sprintf("%d printed as %q reads as %d", n, format.Size(n), back))
		}
	})
}
