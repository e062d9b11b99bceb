package kld

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
)

// evenBase is a base file of two windows over 8 tokens, all of them as likely, and its shape.
func evenBase(t testing.TB) ([]byte, BaseShape) {
	t.Helper()
	shape := BaseShape{Context: 8, Vocab: 8, Tokens: []int32{1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0}}
	var b bytes.Buffer
	w, err := NewBaseWriter(&b, shape)
	if err != nil {
		t.Fatal(err)
	}
	for range shape.Windows() {
		rows := make([][]float32, shape.Rows())
		for i := range rows {
			rows[i] = []float32{0, 1, 0, 1, 0, 1, 0, 1}
		}
		if err := w.Window(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), shape
}

// measureAll compares a model that finds all tokens as likely with the base file.
func measureAll(t *testing.T, file []byte, shape BaseShape) error {
	t.Helper()
	r, err := OpenBase(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMeter(r)
	for range shape.Windows() {
		rows := make([][]float32, shape.Rows())
		for i := range rows {
			rows[i] = make([]float32, shape.Vocab)
		}
		if err := m.Window(rows); err != nil {
			return err
		}
	}
	if !m.Report().Finite() {
		t.Error("the report is not finite")
	}
	return nil
}

// A base file with a tail that is zeros, NaN or anything else of the right length is told from a sound one, with the place.
func TestDamagedTail(t *testing.T) {
	t.Parallel()
	file, shape := evenBase(t)
	if err := measureAll(t, file, shape); err != nil {
		t.Fatal(err)
	}
	row := 2 * rowWords(shape.Vocab)
	for name, damage := range map[string]func(last []byte){
		"zeros":        func(last []byte) { clear(last) },
		"ones":         func(last []byte) { copy(last, bytes.Repeat([]byte{0xff}, len(last))) },
		"NaN scale":    func(last []byte) { binary.LittleEndian.PutUint32(last, math.Float32bits(float32(math.NaN()))) },
		"another base": func(last []byte) { binary.LittleEndian.PutUint32(last[4:], math.Float32bits(-30)) },
		"infinite":     func(last []byte) { binary.LittleEndian.PutUint32(last[4:], math.Float32bits(float32(math.Inf(1)))) },
		"negative scale": func(last []byte) {
			binary.LittleEndian.PutUint32(last, math.Float32bits(-1e38))
			copy(last[10:], bytes.Repeat([]byte{0xff}, len(last)-10))
			clear(last[4:10]) // all of the mass is on one token, which does not come
		},
		"words of 0": func(last []byte) { clear(last[8:]) },
	} {
		bad := bytes.Clone(file)
		damage(bad[len(bad)-row:])
		if err := measureAll(t, bad, shape); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "in window 2 of 2, the probabilities of position 6 add up to") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A reference whose predictions are no numbers makes no base file.
func TestNoNumbers(t *testing.T) {
	t.Parallel()
	_, shape := evenBase(t)
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		for _, at := range []int{0, 5} {
			w, err := NewBaseWriter(new(bytes.Buffer), shape)
			if err != nil {
				t.Fatal(err)
			}
			rows := [][]float32{make([]float32, 8), make([]float32, 8), make([]float32, 8)}
			rows[1][at] = float32(x)
			if err := w.Window(rows); !errors.Is(err, ErrNoNumbers) || !strings.Contains(err.Error(), "position 5 of window 1") {
				t.Errorf("%v at %d: %v", x, at, err)
			}
		}
	}
	// Tokens that cannot come are no fault.
	w, err := NewBaseWriter(new(bytes.Buffer), shape)
	if err != nil {
		t.Fatal(err)
	}
	row := []float32{0, float32(math.Inf(-1)), 0, 0, 0, 0, 0, float32(math.Inf(-1))}
	if err := w.Window([][]float32{row, row, row}); err != nil {
		t.Error(err)
	}
}
