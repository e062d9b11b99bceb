// Package format writes numbers and words as people and shells read them. It has no state and prints nothing.
package format

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Size prints bytes with three significant digits in the largest fitting binary unit: "11.8 MiB".
func Size(n int64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1023.5 {
			break
		}
		v, unit = v/1024, u
	}
	switch {
	case unit == "":
		return fmt.Sprintf("%d B", n)
	case math.Abs(v) < 9.995:
		return fmt.Sprintf("%.2f %s", v, unit)
	case math.Abs(v) < 99.95:
		return fmt.Sprintf("%.1f %s", v, unit)
	default:
		return fmt.Sprintf("%.0f %s", v, unit)
	}
}

// Count prints a number of parameters with three significant digits: "11.5M".
func Count(n uint64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"K", "M", "B", "T"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, u
	}
	if unit == "" {
		return fmt.Sprint(n)
	}
	digits := 2 - int(math.Floor(math.Log10(v*1.0000001)))
	return fmt.Sprintf("%.*f%s", min(2, max(0, digits)), v, unit)
}

// Shell returns s as a shell takes it for one word.
func Shell(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+/=:,@%", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// MiB is a number of bytes with one decimal, as jobs tell what they take: "12.5 MiB".
func MiB(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// Minus writes the minus sign of a number as typographers do.
func Minus(s string) string { return strings.ReplaceAll(s, "-", "\u2212") }

// Clip cuts s to n characters, of which the last then is an ellipsis.
func Clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// About prints a time in seconds that is no promise.
func About(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}
