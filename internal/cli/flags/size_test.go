package cli

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
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
		} else if ExitCode(err) != ExitUsage {
			t.Errorf("parseSize(%q): exit code %d, want %d", in, ExitCode(err), ExitUsage)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for _, c := range []struct {
		in   int64
		want string
	}{
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.00 KiB"},
		{12380096, "11.8 MiB"},
		{3435973837, "3.20 GiB"},
		{1<<20 - 1, "1.00 MiB"},
		{999 << 20, "999 MiB"},
		{-(12 << 20), "-12.0 MiB"},
	} {
		if got := formatSize(c.in); got != c.want {
			t.Errorf("formatSize(%d) = %q, want %q", c.in, got, c.want)
		}
	}
}

// What formatSize prints, parseSize reads back, within the three digits printed.
func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<42).Draw(t, "n")
		back, err := parseSize(formatSize(n))
		if err != nil {
			t.Fatal(err)
		}
		if rel := math.Abs(float64(back-n)) / float64(n); rel > 0.006 {
			t.Fatal(fmt.Sprintf("%d printed as %q reads as %d", n, formatSize(n), back))
		}
	})
}
