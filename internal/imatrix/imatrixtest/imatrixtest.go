// Package imatrixtest makes importance matrices for tests, where there is no llama-imatrix.
package imatrixtest

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/imatrix"
)

// Tokens is of how many tokens the matrices of Random are.
const Tokens = 512

// Random makes a matrix for the model in f with entries for what llama-imatrix has them for: the weight matrices of layers.
// Columns differ by a factor of hundreds, so that a quantiser's output depends on them.
func Random(f *gguf.File, seed uint64) *imatrix.Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &imatrix.Matrix{Entries: map[string]imatrix.Entry{}, Datasets: []string{"wiki.train.raw"}, Chunks: 4, ChunkSize: 128}
	for _, t := range f.Tensors() {
		if len(t.Dims) < 2 || !strings.HasPrefix(t.Name, "blk.") || !strings.HasSuffix(t.Name, ".weight") {
			continue
		}
		matrices := 1
		for _, d := range t.Dims[2:] {
			matrices *= int(d)
		}
		e := imatrix.Entry{Sums: make([]float32, int(t.Dims[0])*matrices), Counts: slices.Repeat([]float32{Tokens}, matrices)}
		for i := range e.Sums {
			e.Sums[i] = float32(Tokens * math.Exp(6*r.Float64()-3))
		}
		m.Entries[t.Name] = e
	}
	return m
}

// Write writes m in the GGUF format.
func Write(path string, m *imatrix.Matrix) error {
	p, err := m.Plan(nil)
	if err != nil {
		return err
	}
	w, err := gguf.WriteTemp(context.Background(), path, p, gguf.WriteOptions{})
	if err == nil {
		_, err = w.Commit()
	}
	return err
}

// Legacy encodes m in the old format, as llama-imatrix does.
func Legacy(m *imatrix.Matrix) []byte {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint32(b, uint32(len(s))), s...) }
	b := le.AppendUint32(nil, uint32(len(m.Entries)))
	for name, e := range m.Entries {
		b = text(b, name)
		calls := (uint32(slices.Max(e.Counts)) + m.ChunkSize - 1) / m.ChunkSize
		b = le.AppendUint32(b, calls)
		b = le.AppendUint32(b, uint32(len(e.Sums)))
		for i, s := range e.Sums {
			count := e.Counts[i/(len(e.Sums)/len(e.Counts))]
			b = le.AppendUint32(b, math.Float32bits(s/count*float32(calls)))
		}
	}
	b = le.AppendUint32(b, m.Chunks)
	return text(b, m.Datasets[0])
}
