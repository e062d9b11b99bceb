package chart

import (
	"math"
	"strconv"

	"github.com/ggufprune/ggufprune/internal/format"
)

// scale maps values to a chart's coordinates.
type scale struct {
	from, to   float64 // values at the two ends
	start, end float64 // coordinates of the two ends
	log        bool
}

// at returns v's coordinate.
func (s scale) at(v float64) float64 {
	from, to := s.from, s.to
	if s.log {
		from, to, v = math.Log(from), math.Log(to), math.Log(v)
	}
	return s.start + (v-from)/(to-from)*(s.end-s.start)
}

// logarithmic is how many times the least value the largest must be for a logarithmic scale.
const logarithmic = 8

// mostLogarithmic is from where on nothing real is told apart: such values come from a broken plan.
const mostLogarithmic = 1e12

// newScale returns a scale for the values with room at both ends, and its ticks. canLog allows a logarithmic one where the values
// lie far apart.
func newScale(values []float64, start, end float64, canLog bool) (scale, []float64) {
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if ratio := high / low; canLog && low > 0 && ratio >= logarithmic && ratio <= mostLogarithmic {
		margin := math.Pow(high/low, 0.06)
		s := scale{low / margin, high * margin, start, end, true}
		return s, ladder(s.from, s.to, 1, 2, 5)
	}
	room := 0.07 * (high - low)
	if room == 0 {
		room = max(math.Abs(high)*0.05, 1e-9)
	}
	s := scale{low - room, high + room, start, end, false}
	if low >= 0 && s.from < 0 {
		s.from = 0
	}
	return s, ticks(s.from, s.to)
}

// ticks returns about five round numbers between from and to.
func ticks(from, to float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((to-from)/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if (to-from)/(m*step) <= 6 {
			step *= m
			break
		}
	}
	var out []float64
	for i := math.Ceil(from/step - 1e-9); i*step <= to+1e-9*step && len(out) < 12; i++ {
		out = append(out, i*step)
	}
	return out
}

// ladder returns the digits times powers of ten from low to high; both are positive.
func ladder(low, high float64, digits ...float64) []float64 {
	var out []float64
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)) && e < 300; e++ {
		for _, m := range digits {
			if v := m * math.Pow(10, e); v >= low*(1-1e-9) && v <= high*(1+1e-9) {
				out = append(out, v)
			}
		}
	}
	return out
}

// tickText writes a tick without the noise of binary fractions.
func tickText(v float64) string {
	if v = math.Round(v*1e9) / 1e9; v == 0 { // no "-0"
		return "0"
	}
	return format.Minus(strconv.FormatFloat(v, 'g', 6, 64))
}
