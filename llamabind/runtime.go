package llamabind

import (
	"context"
	"log/slog"

	"github.com/ggufprune/ggufprune/engine"
)

// Runtime is llama.cpp as an engine.Runtime: the functions of this package, behind the interface that the jobs know.
type Runtime struct{}

var _ engine.Runtime = Runtime{}

// Load is [LoadModel].
func (Runtime) Load(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error) {
	m, err := LoadModel(ctx, path, p)
	if err != nil {
		return nil, err
	}
	return model{m}, nil
}

// NewChatTemplate is [NewChatTemplate].
func (Runtime) NewChatTemplate(source, bos, eos string) (engine.ChatTemplate, error) {
	t, err := NewChatTemplate(source, bos, eos)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ToFloat is [ToFloat].
func (Runtime) ToFloat(ggmlType uint32, data []byte, weights []float32) error {
	return ToFloat(ggmlType, data, weights)
}

// FromFloat is [FromFloat].
func (Runtime) FromFloat(ggmlType uint32, weights []float32, perRow int, importance []float32) ([]byte, error) {
	return FromFloat(ggmlType, weights, perRow, importance)
}

// FileTypes is [FileTypes].
func (Runtime) FileTypes() []engine.FileType { return FileTypes() }

// ParseFileType is [ParseFileType].
func (Runtime) ParseFileType(s string) (engine.FileType, error) { return ParseFileType(s) }

// TensorType is [TensorType].
func (Runtime) TensorType(name string) (uint32, bool) { return TensorType(name) }

// Quantize is [QuantizeModel].
func (Runtime) Quantize(ctx context.Context, in, out string, p engine.QuantizeParams, progress func(i, n int, name string)) error {
	return QuantizeModel(ctx, in, out, p, progress)
}

// QuantizePlan is [QuantizePlan].
func (Runtime) QuantizePlan(ctx context.Context, in string, p engine.QuantizeParams) ([]engine.QuantizedTensor, error) {
	return QuantizePlan(ctx, in, p)
}

// NeedsIMatrix is [NeedsIMatrix].
func (Runtime) NeedsIMatrix(t engine.QuantizedTensor, ft engine.FileType) bool {
	return NeedsIMatrix(t, ft)
}

// Version names the llama.cpp that is linked in.
func (Runtime) Version() engine.Version { return engine.Version{Tag: LlamaTag, Tree: LlamaTree} }

// Devices is [Devices].
func (Runtime) Devices() []engine.Device { return Devices() }

// PhysicalCores is [PhysicalCores].
func (Runtime) PhysicalCores() int { return PhysicalCores() }

// SetLogger is [SetLogger].
func (Runtime) SetLogger(l *slog.Logger) { SetLogger(l) }

// model is a *Model whose contexts are interfaces.
type model struct{ *Model }

func (m model) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (m model) NewBench(p engine.BenchParams) (engine.Bench, error) {
	b, err := m.Model.NewBench(p)
	if err != nil {
		return nil, err
	}
	return b, nil
}
