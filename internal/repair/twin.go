package repair

import (
	"context"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// packed are the types that llama.cpp multiplies fast with on a CPU without repacking them, which a model whose weights are changed
// cannot have. F16 is 1.7 times as fast as Q4_1 on the machine of docs/BENCHMARKS.md.
var packed = []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q4_0, gguf.Q5_0, gguf.IQ4_NL}

// maxTwin is the largest copy in bytes: it stays in memory for as long as the fits take.
const maxTwin = 4 << 30

// LoadTwin loads a copy of the model with its slow tensors in F16, by way of a temporary file, where that is worth it; nil and no error
// where it is not. output is the file that the fits are for. Source.LoadPlain gives the model back.
func LoadTwin(ctx context.Context, s *source.Source, r Options, output string, sink progress.Sink) (Twin, error) {
	if r.Type != nil || onGPU(s.Spec) {
		return nil, nil
	}
	types, size := Twin{}, int64(0)
	for _, t := range s.File.Tensors() {
		if len(t.Dims) < 2 || slices.Contains(packed, t.Type) {
			size += t.Size
			continue
		}
		types[t.Name] = gguf.F16
		size += int64(gguf.F16.TypeSize() * t.Elements())
	}
	if len(types) == 0 || size > maxTwin {
		return nil, nil
	}
	s.CloseModel()
	s.Spec.Model.NoMmap = true
	err := loadAs(ctx, s, types, scratchFolder(output), "a copy in F16, which llama.cpp computes faster on,", sink)
	if err != nil {
		return nil, fmt.Errorf("a copy of the model in F16: %w", err)
	}
	s.SetTypes(nil)
	return types, nil
}

// onGPU reports whether layers of the model may run on a GPU.
func onGPU(spec source.Spec) bool {
	if spec.Model.NGPULayers == 0 || len(spec.Model.Devices) == 1 && spec.Model.Devices[0] == "none" {
		return false
	}
	return len(spec.Model.RPC) > 0 || slices.ContainsFunc(spec.Engine.Devices(), func(d engine.Device) bool {
		return d.Type == "gpu" || d.Type == "igpu"
	})
}

// twinRunner sets weights of a twin.
type twinRunner struct {
	engine.BlockRunner
	codec engine.Codec
	file  *gguf.File
	twin  Twin
}

// SetWeight takes data as the file would have it.
func (r twinRunner) SetWeight(name string, data []byte) error {
	to, ok := r.twin[name]
	if !ok {
		return r.BlockRunner.SetWeight(name, data)
	}
	t, ok := r.file.Tensor(name)
	if !ok {
		return fmt.Errorf("%s is not in the file", name)
	}
	weights := make([]float32, t.Elements())
	if err := r.codec.ToFloat(uint32(t.Type), data, weights); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	encoded, err := r.codec.FromFloat(uint32(to), weights, int(t.Dims[0]), nil)
	if err != nil {
		return fmt.Errorf("%s as %s: %w", name, to, err)
	}
	return r.BlockRunner.SetWeight(name, encoded)
}
