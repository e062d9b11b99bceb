package kld

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// baseHead is the beginning of a base file: context, vocabulary, windows.
func baseHead(shape ...uint32) []byte {
	out := []byte(baseMagic)
	for _, n := range shape {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	return out
}

// FuzzBase reads any bytes as a base file. What is no such file is refused with one line. All windows of any other are read, and either
// one of them is damaged or the report is one of numbers. Written again, such as it is, it has the same size.
func FuzzBase(f *testing.F) {
	sound, _ := evenBase(f)
	f.Add(sound)
	f.Add(sound[:len(sound)-1])
	f.Add(append(bytes.Clone(sound), 0))
	one := append(baseHead(4, 1, 1), make([]byte, 4*4)...) // a vocabulary of one token
	f.Add(append(one, make([]byte, 12)...))
	for _, shape := range [][]uint32{
		{1 << 24, 1 << 24, 1}, {4, 1, math.MaxInt32}, {1 << 24, 1 << 24, math.MaxInt32}, {3, 8, 1}, {8, 8, 0}, {math.MaxUint32, 8, 1}, {8, math.MaxUint32, math.MaxUint32},
	} {
		f.Add(baseHead(shape...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bounded(t, len(b), func() {
			r, err := OpenBase(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				fuzztest.OneLine(t, err, 0)
				return
			}
			if r.Bytes() != int64(len(b)) || r.Windows() < 1 || r.Rows() < 1 {
				t.Fatalf("%d windows of %d positions in %d bytes, of %d", r.Windows(), r.Rows(), r.Bytes(), len(b))
			}
			var again bytes.Buffer
			w, err := NewBaseWriter(&again, r.BaseShape)
			if err != nil {
				t.Fatal(err)
			}
			readWindows(t, r, w)
			if err := w.Close(); err == nil && again.Len() != len(b) {
				t.Errorf("%d bytes became %d", len(b), again.Len())
			}
		})
	})
}

// readWindows compares all windows of r with a model that finds one token likelier than the others, and writes that model's to w.
func readWindows(t *testing.T, r *BaseReader, w *BaseWriter) {
	m := NewMeter(r)
	logits := make([]float32, r.Vocab)
	for i := range logits {
		logits[i] = float32(i%2) - float32(i%7)
	}
	rows := make([][]float32, r.Rows())
	for i := range rows {
		rows[i] = logits
	}
	for range r.Windows() {
		if err := m.Window(rows); err != nil {
			if fuzztest.OneLine(t, err, 0); !errors.Is(err, ErrDamaged) {
				t.Errorf("%v is no %v", err, ErrDamaged)
			}
			return
		}
		if err := w.Window(rows); err != nil {
			t.Fatal(err)
		}
	}
	if rep := m.Report(); !rep.Finite() {
		t.Errorf("the report is not one of numbers: %+v", rep)
	}
}

// FuzzRow reads any bytes as one position of a base file over as many tokens as fit, and compares a model with it.
func FuzzRow(f *testing.F) {
	f.Add(quantizeRow(nil, []float32{0, 1, 2, -40}), uint8(3))
	f.Add(bytes.Repeat([]byte{0xff}, 16), uint8(0))
	f.Fuzz(func(t *testing.T, raw []byte, target uint8) {
		vocab := (len(raw) - 8) / 2
		if vocab < 1 {
			return
		}
		q := parseRow(raw, vocab)
		p := comparePosition(make([]float32, vocab), q, engine.Token(int(target)%vocab))
		if !isDistribution(p.mass, vocab) {
			return
		}
		if math.IsNaN(p.kld) || math.IsInf(p.kld, 0) || p.deltaP != p.deltaP || p.baseNLL != p.baseNLL || math.IsInf(float64(p.baseNLL), 0) {
			t.Errorf("of probabilities that add up to %v: %+v", p.mass, p)
		}
	})
}
