package tensors

import (
	"fmt"

	"github.com/ggufprune/ggufprune/gguf"
)

// Part is a range of the rows of a tensor. A bias has its elements where a matrix has its rows.
type Part struct {
	Name string
	Rows int
	// Order says which row of the range becomes row r, 0 <= r < Rows; nil keeps them as they stand.
	Order func(r int) int
}

// from lists the rows of what is left of the tensor that make up the part, which begins at row at.
func (p Part) from(at int64) []int64 {
	rows := make([]int64, p.Rows)
	for r := range rows {
		from := r
		if p.Order != nil {
			from = p.Order(r)
		}
		rows[r] = at + int64(from)
	}
	return rows
}

// Split cuts a tensor into parts, which must make up all that its cut leaves. Rows move whole, whatever their type, so nothing is
// requantised.
func (s Source) Split(t gguf.Tensor, parts []Part) ([]gguf.PlanTensor, error) {
	left := s.Cuts[t.Name].of(t)
	total := left.Rows()
	if len(t.Dims) == 1 {
		if t.Type.Quantized() {
			return nil, fmt.Errorf("tensor %s is a quantised vector", t.Name)
		}
		total = int64(left.Dims[0])
	}
	if len(parts) == 1 && parts[0].Order == nil && int64(parts[0].Rows) == total {
		return []gguf.PlanTensor{s.Copy(t, parts[0].Name)}, nil
	}
	var out []gguf.PlanTensor
	at := int64(0)
	for _, p := range parts {
		rows := p.from(at)
		at += int64(p.Rows)
		if at > total {
			break
		}
		out = append(out, s.take(t, p.Name, rows))
	}
	if at != total {
		return nil, fmt.Errorf("tensor %s has %d rows; the metadata means %d", t.Name, total, at)
	}
	return out, nil
}

// take plans rows of what is left of t as a tensor of its own.
func (s Source) take(t gguf.Tensor, name string, rows []int64) gguf.PlanTensor {
	if cut := s.Cuts[t.Name]; cut.Rows != nil {
		for i, r := range rows {
			rows[i] = cut.Rows[r]
		}
	}
	return gguf.PlanTensor{Name: name, Type: t.Type, Dims: Cut{Rows: rows}.of(t).Dims, Data: s.rows(t, rows)}
}
