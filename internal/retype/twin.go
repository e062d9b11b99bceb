package retype

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/cgroup"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Twin is the types that a model's tensors have in a copy of it, made because llama.cpp computes long prompts faster on it. Weights of
// the copy are set by those of the file, which stay what is fitted and written, or by what the copy has. Nil: there is none.
type Twin map[string]gguf.Type

// packed are the types that llama.cpp multiplies fast with on a CPU without repacking them, which a model whose weights are changed
// cannot have. repacked are fast, too, where weights stay as they are. F16 is about twice as fast as Q4_1, Q5_1, Q3_K and Q5_K on the
// machine of docs/BENCHMARKS.md.
var (
	packed   = []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q4_0, gguf.Q5_0, gguf.IQ4_NL}
	repacked = []gguf.Type{gguf.Q2_K, gguf.Q4_K, gguf.IQ4_XS}
)

// A copy stays in memory for as long as the fits or the search take.
const (
	maxFitTwin     = 4 << 30 // bytes, for fits: they need memory themselves
	searchTwinPart = 0.5     // of the memory that there is, for searches; maxFitTwin where that is unknown
)

// ForFit returns the types of a copy of the model in which fits are computed faster; nil where none is worth it.
func ForFit(s *source.Source) Twin { return twinOf(s, packed).within(s.File, maxFitTwin) }

// ForSearch returns the types of a copy in which a search is computed faster; nil where none is worth it.
func ForSearch(s *source.Source) Twin {
	limit := int64(maxFitTwin)
	if total := Memory(s.Spec.Engine.Devices()); total > 0 {
		limit = int64(searchTwinPart * float64(total))
	}
	types := twinOf(s, slices.Concat(packed, repacked))
	if types == nil {
		return nil
	}
	// The matrix at the output, too: what is multiplied with one in 8 bits is rounded to 8 bits, and that blurs the small differences of
	// losses by which a search decides, in all candidates.
	head, ok := s.File.Tensor("output.weight")
	if !ok {
		head, ok = s.File.Tensor("token_embd.weight")
	}
	if ok && head.Type.BlockSize() > 1 {
		types[head.Name] = gguf.F16
	}
	return types.within(s.File, limit)
}

// within is the twin, or nil where it takes more than limit bytes.
func (t Twin) within(f *gguf.File, limit int64) Twin {
	if t.Bytes(f) > limit {
		return nil
	}
	return t
}

// twinOf has the tensors in F16 that are in none of the types fast; nil where that are none, or where a GPU computes.
func twinOf(s *source.Source, fast []gguf.Type) Twin {
	if onGPU(s.Spec) {
		return nil
	}
	types := Twin{}
	for _, t := range s.File.Tensors() {
		if len(t.Dims) > 1 && t.Type.BlockSize() > 1 && !slices.Contains(fast, t.Type) {
			types[t.Name] = gguf.F16
		}
	}
	if len(types) == 0 {
		return nil
	}
	return types
}

// Load loads the copy in place of the model, by way of a temporary file beside output. Where that fails, for want of room, the model is
// loaded as it was, and nil is returned. Source.LoadPlain gives the model back.
func (t Twin) Load(ctx context.Context, s *source.Source, output string, sink progress.Sink) (Twin, error) {
	if len(t) == 0 {
		return nil, nil
	}
	noMmap := s.Spec.Model.NoMmap
	s.CloseModel()
	s.Spec.Model.NoMmap = true
	err := Load(ctx, s, t, ScratchFolder(output), "a copy in F16, which llama.cpp computes faster on,", sink)
	if err == nil {
		s.SetTypes(nil)
		return t, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	sink.Notef("the work does without a copy in F16, which would be faster: %v", err)
	s.Spec.Model.NoMmap = noMmap
	return nil, s.Reload(ctx)
}

// Notes is where a job keeps what it decided, for when it goes on after an interruption.
type Notes interface {
	Note(name string) json.RawMessage
	SetNote(name string, value any) error
}

const copied = "copy in F16" // the note: whether there is one

// Begun reports whether a job that goes on was begun on a copy.
func Begun(notes Notes) bool {
	began := false
	raw := notes.Note(copied)
	return raw != nil && json.Unmarshal(raw, &began) == nil && began
}

// LoadNoted is Load for a job that may have been interrupted: what it measured on the copy and on the model itself does not mix, so it
// goes on with what it began with.
func (t Twin) LoadNoted(ctx context.Context, s *source.Source, output string, notes Notes, sink progress.Sink) (Twin, error) {
	if notes.Note(copied) == nil {
		loaded, err := t.Load(ctx, s, output, sink)
		if err != nil || len(t) == 0 {
			return nil, err
		}
		return loaded, notes.SetNote(copied, loaded != nil)
	}
	if !Begun(notes) {
		return nil, nil
	}
	loaded, err := t.Load(ctx, s, output, sink)
	if err == nil && loaded == nil {
		err = errors.New("the job was begun on a copy of the model in F16, which cannot be made now; make room for it, or remove the journal to begin anew")
	}
	return loaded, err
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

// Runner sets the weights of the twin that is loaded: it takes them as the file would have them, or as the copy has them.
func (t Twin) Runner(r engine.BlockRunner, s *source.Source) engine.BlockRunner {
	return runner{r, s.Spec.Engine, s.File, t}
}

type runner struct {
	engine.BlockRunner
	codec engine.Codec
	file  *gguf.File
	twin  Twin
}

// SetWeight takes data as the file would have it, or as the copy has it: the copy's types take more bytes.
func (r runner) SetWeight(name string, data []byte) error {
	to, ok := r.twin[name]
	if !ok {
		return r.BlockRunner.SetWeight(name, data)
	}
	t, ok := r.file.Tensor(name)
	if !ok {
		return fmt.Errorf("%s is not in the file", name)
	}
	switch int64(len(data)) {
	case to.RowBytes(t.Dims[0]) * t.Rows():
		return r.BlockRunner.SetWeight(name, data)
	case t.Type.RowBytes(t.Dims[0]) * t.Rows():
	default:
		return fmt.Errorf("%s: %d bytes are neither its size in the file nor in the copy", name, len(data))
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

// Memory is the machine's memory, or what a container may have where that is less; 0 where neither is known.
func Memory(devices []engine.Device) int64 {
	return memoryWithin(devices, cgroup.MemoryLimit(os.DirFS("/")))
}

func memoryWithin(devices []engine.Device, limit int64) int64 {
	total := int64(0)
	for _, d := range devices {
		if d.Type == "cpu" {
			total = max(total, int64(d.Total))
		}
	}
	if limit > 0 && (total == 0 || limit < total) {
		return limit
	}
	return total
}

// Bytes is what the loaded copy of a file takes, or the file itself where there is none.
func (t Twin) Bytes(f *gguf.File) int64 {
	size := f.Bytes()
	for name, to := range t {
		if t, ok := f.Tensor(name); ok {
			size += to.RowBytes(t.Dims[0])*t.Rows() - t.Size
		}
	}
	return size
}
