package imatrix

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// Check returns an *Error where the file at path, which m was read from, is not of a model with these tensors and layers:
// an entry for a layer's tensor that does not exist or has another number of columns, or a layer without any entry. nLayer does not
// count layers that only predict further tokens, which llama-imatrix does not run. Entries for what is no layer may be
// of no tensor: with tied embeddings it depends on the version of llama-imatrix what they are called.
func (m *Matrix) Check(path string, tensors []gguf.Tensor, nLayer int) error {
	byName := map[string]gguf.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	other := func(format string, args ...any) error {
		return &Error{path, "is of another model: " + fmt.Sprintf(format, args...) + "; give the one made from this model"}
	}
	covered := map[int]bool{}
	for _, name := range m.names() {
		t, ok := byName[name]
		layer, inLayer := layerOf(name)
		if !ok && inLayer {
			return other("the model has no tensor %q", name)
		}
		if have := len(m.Entries[name].Sums); ok && uint64(have) != columnsOf(t.Dims) {
			return other("it has %d columns of %s, the model %d", have, name, columnsOf(t.Dims))
		}
		covered[layer] = covered[layer] || inLayer
	}
	for i := range nLayer {
		matrices := slices.ContainsFunc(tensors, func(t gguf.Tensor) bool {
			layer, ok := layerOf(t.Name)
			return ok && layer == i && len(t.Dims) > 1
		})
		if matrices && !covered[i] {
			return other("it has nothing of layer %d", i)
		}
	}
	return nil
}

// columnsOf is the number of columns of a tensor's matrices together.
func columnsOf(dims []uint64) uint64 {
	n := dims[0]
	for _, d := range dims[min(2, len(dims)):] {
		n *= d
	}
	return n
}

// layerOf reads N of "blk.N.".
func layerOf(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return 0, false
	}
	number, _, ok := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n >= 0
}

// For returns the importance matrix of the file that p plans, m being that of its source. columns are those that matrices keep, by the
// source's names; one that is not there keeps all. Tensors of zeros get entries that say that nothing is known.
func (m *Matrix) For(p *gguf.Plan, columns map[string][]int64) *Matrix {
	out := &Matrix{Entries: map[string]Entry{}, Datasets: m.Datasets, Chunks: m.Chunks, ChunkSize: m.ChunkSize}
	for _, t := range p.Tensors {
		if len(t.Dims) < 2 {
			continue
		}
		if src, ok := gguf.SourceOf(t.Data); ok {
			if e, ok := m.Entries[src.Name]; ok {
				out.Entries[t.Name] = e.pick(columns[src.Name])
			}
		} else if gguf.IsZeros(t.Data) {
			n := columnsOf(t.Dims)
			out.Entries[t.Name] = Entry{Sums: make([]float32, n), Counts: make([]float32, n/t.Dims[0])}
		}
	}
	return out
}

// pick returns the entry of the same matrices with these columns only; nil is all of them.
func (e Entry) pick(columns []int64) Entry {
	if columns == nil {
		return e
	}
	out := Entry{Counts: e.Counts}
	for matrix := range slices.Chunk(e.Sums, e.columns()) {
		for _, c := range columns {
			out.Sums = append(out.Sums, matrix[c])
		}
	}
	return out
}

// Plan plans the file in the GGUF format, with tensors of these dimensions, or of one matrix where there is none by the name.
func (m *Matrix) Plan(dims map[string][]uint64) (*gguf.Plan, error) {
	p := new(gguf.Plan)
	datasets := m.Datasets
	if datasets == nil {
		datasets = []string{}
	}
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"general.type", "imatrix"},
		{keyDatasets, datasets},
		{keyChunks, m.Chunks},
		{keyChunkSize, cmp.Or(m.ChunkSize, 1)}, // llama-quantize may divide by it
	} {
		raw, err := gguf.NewKV(kv.key, kv.value)
		if err != nil {
			return nil, err
		}
		p.KVs = append(p.KVs, raw)
	}
	for _, name := range m.names() {
		e := m.Entries[name]
		counts := e.Counts
		if d := dims[name]; len(counts) == 1 && len(d) > 2 && columnsOf(d) == uint64(len(e.Sums)) { // the old format has one for all
			counts = slices.Repeat(counts, int(columnsOf(d)/d[0]))
		}
		rows := uint64(len(counts))
		p.Tensors = append(p.Tensors,
			tensor(name+sumsSuffix, e.Sums, uint64(len(e.Sums))/rows, rows),
			tensor(name+countsSuffix, counts, 1, rows))
	}
	return p, nil
}

func tensor(name string, values []float32, dims ...uint64) gguf.PlanTensor {
	return gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: dims, Data: gguf.Bytes(bytesOf(values))}
}

func bytesOf(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
