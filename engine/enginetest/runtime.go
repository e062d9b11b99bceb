// Package enginetest is a runtime for tests that needs no llama.cpp: a model whose logits are a hash of the last token and of the
// blocks that are there. What a job makes of a model (a plan, a file, a check, a comparison) can be tested on it, since leaving a
// block out of its graph and loading a file without that block give the same numbers.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// Runtime implements engine.Runtime on any GGUF file of a decoder: only its metadata and the names of its tensors count. Weights are
// neither decoded nor quantised.
type Runtime struct {
	// OnLoad, if not nil, is called before a file is loaded and may refuse that.
	OnLoad func(path string) error
	// Wrong makes a loaded file compute something else than it should: a check must find that.
	Wrong func(path string) bool
}

var _ engine.Runtime = Runtime{}

var errNo = errors.New("the test's runtime cannot do this")

// Load opens the file at path. A file that this program pruned computes what its source does without the blocks in its metadata.
func (r Runtime) Load(ctx context.Context, path string, _ engine.ModelParams) (engine.Model, error) {
	if ctx.Err() != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: "load model", Text: "cancelled"}
	}
	if r.OnLoad != nil {
		if err := r.OnLoad(path); err != nil {
			return nil, err
		}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: err.Error()}
	}
	m := newModel(f)
	if r.Wrong != nil && r.Wrong(path) {
		m.seed++
	}
	return m, nil
}

// NewChatTemplate returns a template that writes "role: content" lines, whatever source is; "" is refused.
func (Runtime) NewChatTemplate(source, _, _ string) (engine.ChatTemplate, error) {
	if source == "" {
		return nil, &engine.Error{Code: engine.BadInput, Op: "chat template", Text: "it is empty"}
	}
	return template{}, nil
}

type template struct{}

func (template) Apply(messages []engine.Message, openReply bool) (string, error) {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
	}
	if openReply {
		b.WriteString("assistant: ")
	}
	return b.String(), nil
}

func (template) Close() {}

// ToFloat implements engine.Codec for no type.
func (Runtime) ToFloat(uint32, []byte, []float32) error { return errNo }

// FromFloat implements engine.Codec for no type.
func (Runtime) FromFloat(uint32, []float32, int, []float32) ([]byte, error) { return nil, errNo }

var fileTypes = []engine.FileType{
	{Name: "Q4_0", ID: 2}, {Name: "Q8_0", ID: 7}, {Name: "Q4_K_M", ID: 15}, {Name: "Q5_K_M", ID: 17}, {Name: "IQ3_M", ID: 27}, {Name: "F16", ID: 1},
}

// FileTypes are some of llama-quantize's.
func (Runtime) FileTypes() []engine.FileType { return fileTypes }

// ParseFileType reads a name or a number, and the alias Q4_K.
func (Runtime) ParseFileType(s string) (engine.FileType, error) {
	name := strings.ToUpper(s)
	if name == "Q4_K" {
		name = "Q4_K_M"
	}
	for _, t := range fileTypes {
		if t.Name == name || fmt.Sprint(t.ID) == s {
			return t, nil
		}
	}
	return engine.FileType{}, fmt.Errorf("unknown quantisation type %q; give one of Q4_0, Q8_0", s)
}

// TensorType knows the types of weights by their names.
func (Runtime) TensorType(name string) (uint32, bool) {
	for _, t := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q6_K, gguf.Q5_K, gguf.Q4_K, gguf.Q4_0} {
		if strings.EqualFold(t.Name(), name) {
			return uint32(t), true
		}
	}
	return 0, false
}

// Quantize is not there.
func (Runtime) Quantize(context.Context, string, string, engine.QuantizeParams, func(i, n int, name string)) error {
	return errNo
}

// QuantizePlan is not there.
func (Runtime) QuantizePlan(context.Context, string, engine.QuantizeParams) ([]engine.QuantizedTensor, error) {
	return nil, errNo
}

// NeedsIMatrix is false.
func (Runtime) NeedsIMatrix(engine.QuantizedTensor, engine.FileType) bool { return false }

// Version is no release of llama.cpp's.
func (Runtime) Version() engine.Version { return engine.Version{Tag: "LLAMA", Tree: "TREE"} }

// Devices is a CPU.
func (Runtime) Devices() []engine.Device {
	return []engine.Device{{Name: "CPU", Description: "a test's processor", Type: "cpu"}}
}

// PhysicalCores is a number that no machine of today has.
func (Runtime) PhysicalCores() int { return 3 }

// SetLogger has nothing to log.
func (Runtime) SetLogger(*slog.Logger) {}
