package retype

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Load loads the model with some tensors in other types, by way of a temporary file in dir that is gone when it returns. what
// begins the sentence that describes it.
func Load(ctx context.Context, s *source.Source, types map[string]gguf.Type, dir, what string, sink progress.Sink) error {
	if len(types) == 0 {
		return s.LoadPlain(ctx)
	}
	s.CloseModel()
	plan := &gguf.Plan{KVs: s.File.KVs()}
	for _, t := range s.File.Tensors() {
		to := gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(s.File, t)}
		if typ, ok := types[t.Name]; ok {
			to.Type = typ
			to.Data = gguf.Made(typ.RowBytes(t.Dims[0])*t.Rows(), func() ([]byte, error) {
				data, _, err := Encode(s.Spec.Engine, s.File, t, typ)
				return data, err
			})
		}
		plan.Tensors = append(plan.Tensors, to)
	}
	sink.Notef("%s takes %s in %s while it is loaded", what, format.MiB(plan.Size()), dir)
	bar := sink.Start("write the copy", plan.Size())
	defer bar.Stop()
	file, err := gguf.WriteTemp(ctx, filepath.Join(dir, "ggufprune-copy.gguf"), plan, gguf.WriteOptions{
		Force:    true, // it never gets this name
		Progress: func(done, _ int64) { bar.Set(done, "") },
	})
	if err != nil {
		return fmt.Errorf("a copy of the original needs room while it is loaded: %w", err)
	}
	defer file.Discard() //nolint:errcheck // the model is read into memory by now; else the first error counts
	return s.LoadAs(ctx, file.Path(), types)
}

// ScratchFolder is where temporary files go: beside the output.
func ScratchFolder(output string) string {
	if output != "" {
		return filepath.Dir(output)
	}
	if outfile.CheckFolder(".") != nil {
		return os.TempDir()
	}
	return "."
}

// Encode reads a tensor and encodes it in another type. It returns the bytes, and the weights that they decode to.
func Encode(c engine.Codec, f *gguf.File, t gguf.Tensor, typ gguf.Type) ([]byte, []float32, error) {
	data, weights, err := Read(c, f, t)
	if err != nil || typ == t.Type {
		return data, weights, err
	}
	if data, err = c.FromFloat(uint32(typ), weights, int(t.Dims[0]), nil); err != nil {
		return nil, nil, fmt.Errorf("%s as %s: %w", t.Name, typ, err)
	}
	if err := c.ToFloat(uint32(typ), data, weights); err != nil {
		return nil, nil, fmt.Errorf("%s as %s: %w", t.Name, typ, err)
	}
	return data, weights, nil
}

// Read reads and decodes a tensor.
func Read(c engine.Codec, f *gguf.File, t gguf.Tensor) ([]byte, []float32, error) {
	data, err := io.ReadAll(f.Data(t))
	if err != nil {
		return nil, nil, err
	}
	weights := make([]float32, t.Elements())
	if err := c.ToFloat(uint32(t.Type), data, weights); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return data, weights, nil
}
