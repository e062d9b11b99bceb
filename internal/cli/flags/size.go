package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// units are the suffixes that parseSize accepts, in bytes: powers of 1024 with an i, of 1000 without.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"b", 1},
}

// parseSize reads a file size such as "3.2GiB", "800 MB" or "1000000" (bytes) and returns bytes. The unit's case does
// not matter. A bare "3.2G" is refused: it means GiB to some tools and GB to others.
func parseSize(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	scale := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, scale = strings.TrimSpace(number), u.bytes
			break
		}
	}
	// ParseFloat also reads hexadecimal, infinities and NaN, none of which is a size.
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xnp_") || math.IsInf(v, 0) {
		return 0, usagef("size %q is not a number with a unit; write for example 3.2GiB or 800MB", s)
	}
	v = math.Round(v * scale)
	if v < 1 || v > math.MaxInt64/2 {
		return 0, usagef("size %q is out of range; write for example 3.2GiB or 800MB", s)
	}
	return int64(v), nil
}

// formatSize prints bytes: "11.8 MiB".
func formatSize(n int64) string { return format.Size(n) }
