// Package imatrix reads, carries over and writes importance matrices: for each weight matrix of a model, the mean square of
// what is multiplied by each of its columns, on some text. llama-imatrix makes them, and quantisers weigh errors by them.
//
// # Formats
//
// Since 2025 a GGUF file, with the keys imatrix.datasets ([string]), imatrix.chunk_count and imatrix.chunk_size (uint32), and
// for each matrix NAME two tensors in F32:
//
//	NAME.in_sum2   (columns, matrices)  sums of squares; several matrices in a mixture of experts
//	NAME.counts    (1, matrices)        of how many tokens; 0: nothing is known, and quantisers take 1 for every column
//
// Before that a file of its own, little-endian:
//
//	int32 entries, then for each:  int32 length, name, int32 calls, int32 values, float32 values (mean square times calls)
//	and behind them, optionally:   int32 chunks, int32 length, name of the text
//
// What is read of either is what llama.cpp's common/imatrix-loader.cpp and tools/quantize/quantize.cpp make of it.
//
// # After pruning
//
// Importances belong to input columns: where a matrix loses columns, so does its entry. Renaming a layer, reordering the rows of Q and K, and splitting a fused matrix by rows leave
// them as they are, so each matrix of the pruned file has the entry of the matrix that its rows are of. They were
// measured in the whole model; in the pruned one what flows is a little different, as it is for any text but the one measured.
// Matrices of zeros get an entry with count 0, because llama-quantize refuses very small types for a matrix without entry.
package imatrix

import (
	"cmp"
	"fmt"
	"slices"
)

// Matrix is the content of one file.
type Matrix struct {
	Entries   map[string]Entry // by the tensor's name
	Datasets  []string         // the texts
	Chunks    uint32           // how many pieces of text
	ChunkSize uint32           // tokens of one; 0 where the file does not say
}

// Entry is of one tensor of one or more matrices with as many columns each.
type Entry struct {
	Sums   []float32 // of squares, by column, matrix after matrix
	Counts []float32 // by matrix; 0: nothing is known of it
}

// columns is the number of columns of each matrix.
func (e Entry) columns() int { return len(e.Sums) / len(e.Counts) }

// Values are the importances as llama-quantize computes them, by column, matrix after matrix.
func (m *Matrix) Values() map[string][]float32 {
	out := make(map[string][]float32, len(m.Entries))
	for name, e := range m.Entries {
		v := make([]float32, len(e.Sums))
		for i, s := range e.Sums {
			if v[i] = 1; e.Counts[i/e.columns()] > 0 {
				v[i] = s / e.Counts[i/e.columns()]
			}
		}
		out[name] = v
	}
	return out
}

// names lists the entries in order.
func (m *Matrix) names() []string {
	var out []string
	for name := range m.Entries {
		out = append(out, name)
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// Error says what is wrong with a file.
type Error struct{ Path, Text string }

func (e *Error) Error() string { return fmt.Sprintf("importance matrix %s %s", e.Path, e.Text) }
