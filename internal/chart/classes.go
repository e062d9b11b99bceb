package chart

import (
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/internal/format"
)

// worse is how many classes, and so colours, there are for what is worse than before.
const worse = 6

// Classes divide values into ranges of one colour each. Class 0 is below 0, which is better; the others are ever worse. The numbers
// are the bounds between the classes from 1 on, rising.
type Classes []float64

// Unit is how a value is written: as Factor times it, with Name behind it in the legend.
type Unit struct {
	Factor float64
	Name   string
}

// The units of what is drawn: differences of perplexity, relative to it, and of KL divergence, in nats.
var (
	Percent    = Unit{100, "%"}
	Thousandth = Unit{1000, ""}
)

// Number writes a value in at most four characters.
func (u Unit) Number(d float64) string {
	v := u.Factor * d
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "∞"
	case math.Abs(v) < 9.95:
		if text := format.Minus(fmt.Sprintf("%.1f", v)); text != "\u22120.0" {
			return text
		}
		return "0.0"
	case math.Abs(v) < 999.5:
		return format.Minus(fmt.Sprintf("%.0f", v))
	case v < 9950:
		return fmt.Sprintf("%.0fk", v/1000)
	default:
		return "≫"
	}
}

// NewClasses chooses classes with round bounds for the values.
func NewClasses(values []float64) Classes {
	var positive []float64
	for _, v := range values {
		if v > 0 {
			positive = append(positive, v)
		}
	}
	if len(positive) == 0 {
		return nil
	}
	slices.Sort(positive)
	at := func(part float64) float64 { return positive[int(part*float64(len(positive)-1))] }
	low, high := at(0.08), max(at(0.96), at(0.08)*1.01)
	all := ladder(low, high, 1, 2, 5)
	if len(all) < worse-1 {
		all = ladder(low, high, 1, 1.5, 2, 3, 5, 7)
	}
	if len(all) < worse {
		return all
	}
	var out Classes
	for i := range worse - 1 {
		out = append(out, all[i*(len(all)-1)/(worse-2)])
	}
	return out
}

// Of returns the class of a value. What is not finite has the last one.
func (c Classes) Of(v float64) int {
	if v < 0 {
		return 0
	}
	class := 1
	for _, bound := range c {
		if !(v < bound) {
			class++
		}
	}
	return class
}

// legend names the classes.
func (c Classes) legend(u Unit) []HeatClass {
	text := func(v float64) string { return tickText(u.Factor*v) + u.Name }
	out := []HeatClass{{Class: 0, Text: "better than before"}}
	if len(c) == 0 {
		return append(out, HeatClass{Class: 1, Text: "worse"})
	}
	out = append(out, HeatClass{Class: 1, Text: "up to " + text(c[0]) + " worse"})
	for i := 1; i < len(c); i++ {
		out = append(out, HeatClass{Class: i + 1, Text: text(c[i-1]) + " to " + text(c[i])})
	}
	return append(out, HeatClass{Class: len(c) + 1, Text: "more than " + text(c[len(c)-1])})
}
