// Package jsonnum has numbers for JSON that may not be finite. JSON has no word for such numbers: they are written as null.
package jsonnum

import (
	"encoding/json"
	"math"
)

// Float is a number that JSON writes as null unless it is finite. What is null reads back as +Inf, whatever it was: scores and
// losses are lower for better models, so what is no number counts as the worst. A field that the text lacks keeps the value that it
// had; use a *Float, whose [Float.Value] is +Inf then too, where a field may be missing.
type Float float64

// Ptr returns x as a field that may be missing.
func Ptr(x float64) *Float { return (*Float)(&x) }

// Value returns the number; +Inf of nil.
func (f *Float) Value() float64 {
	if f == nil {
		return math.Inf(1)
	}
	return float64(*f)
}

// Known returns x, or nil if it is not finite: for fields whose readers ask whether there is a number at all.
func Known(x float64) *float64 {
	if !Finite(x) {
		return nil
	}
	return &x
}

// Finite reports whether x is neither infinite nor NaN.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// MarshalJSON writes a finite number as encoding/json writes a float64.
func (f Float) MarshalJSON() ([]byte, error) {
	if !Finite(float64(f)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads a number or null.
func (f *Float) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*f = Float(math.Inf(1))
		return nil
	}
	return json.Unmarshal(data, (*float64)(f))
}
