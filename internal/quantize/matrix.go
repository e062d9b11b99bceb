package quantize

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/layout"
)

// PendingMatrix is an importance matrix under its temporary name; nil is none.
type PendingMatrix struct{ *gguf.Pending }

// Discard removes the file, unless it has its name by now.
func (m *PendingMatrix) Discard() error {
	if m == nil {
		return nil
	}
	return m.Pending.Discard()
}

// Commit gives the file its name.
func (m *PendingMatrix) Commit() error {
	if m == nil {
		return nil
	}
	if _, err := m.Pending.Commit(); err != nil {
		return fmt.Errorf("the model is written, its importance matrix is not: %w", err)
	}
	return nil
}

// WriteMatrix writes the importance matrix of the file that res plans, if that is asked for.
func (z *Quantizer) WriteMatrix(ctx context.Context, res *layout.Result, force bool) (*PendingMatrix, error) {
	if z == nil || z.IMatrixOut == "" {
		return nil, nil
	}
	dims := map[string][]uint64{}
	for _, t := range res.Plan.Tensors {
		dims[t.Name] = t.Dims
	}
	return writeMatrix(ctx, z.IMatrixOut, z.matrix.For(res.Plan, res.Columns), dims, force)
}

func writeMatrix(ctx context.Context, path string, m *imatrix.Matrix, dims map[string][]uint64, force bool) (*PendingMatrix, error) {
	p, err := m.Plan(dims)
	if err != nil {
		return nil, err
	}
	pending, err := gguf.WriteTemp(ctx, path, p, gguf.WriteOptions{Force: force})
	if err != nil {
		return nil, fmt.Errorf("importance matrix: %w", err)
	}
	return &PendingMatrix{pending}, nil
}
