package fuzztest

import (
	"errors"
	"strings"
	"testing"
)

// failed counts what was reported to it.
type failed struct {
	testing.TB
	n int
}

func (f *failed) Helper()               {}
func (f *failed) Error(...any)          { f.n++ }
func (f *failed) Errorf(string, ...any) { f.n++ }

var sink []byte

func TestBounded(t *testing.T) {
	for _, tt := range []struct{ input, take, want int }{{10, 1 << 20, 0}, {10, 65 << 20, 1}, {40 << 20, 70 << 20, 0}, {40 << 20, 81 << 20, 1}} {
		f := &failed{TB: t}
		Bounded(f, tt.input, func() { sink = make([]byte, tt.take) })
		if f.n != tt.want {
			t.Errorf("%d bytes of memory for %d: %d failures", tt.take, tt.input, f.n)
		}
	}
	sink = nil
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]int{
		"": 1, "a line": 0, "two\nlines": 1, "a carriage return\r": 1, strings.Repeat("x", 710): 0, strings.Repeat("x", 711): 1,
	} {
		f := &failed{TB: t}
		OneLine(f, errors.New(text), 10)
		if f.n != want {
			t.Errorf("%.20q: %d failures", text, f.n)
		}
	}
	f := &failed{TB: t}
	if OneLine(f, nil, 0); f.n != 1 {
		t.Error("no error is taken for one")
	}
}
