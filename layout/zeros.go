package layout

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// buildZeros keeps the architecture and zeroes what is removed of a layer that stays.
func buildZeros(m *model) (res *Result, why string, err error) {
	for _, slots := range m.arrangements() {
		meta := m.metadata()
		why, err := m.express(meta, slots)
		if err != nil {
			return nil, "", err
		}
		if why != "" {
			continue
		}
		if why := m.cannotZero(slots); why != "" {
			return nil, why, nil
		}
		res = &Result{Layers: m.asLayers(slots), Warnings: m.windowWarning(meta)}
		res.Plan = &gguf.Plan{KVs: meta.KVs, Tensors: m.tensorsOf(slots, m.zeroed)}
		if n := zeroHalves(slots); n > 0 {
			res.Warnings = append(res.Warnings, fmt.Sprintf("%d blocks are stored as zeros: the file is smaller, but does not run faster "+
				"for them.", n))
		}
		return res, "", nil
	}
	return nil, "not even the layers in their places can be expressed", nil
}

// cannotZeroParts: what a part of an FFN saves, zeros in its place would not.
func cannotZeroParts(m *model) string {
	if parts := m.removed.Parts(); len(parts) > 0 {
		return fmt.Sprintf("%s keeps a part of a block, for which this layout has no form", parts[0])
	}
	return ""
}

func zeroHalves(slots []slot) int {
	n := 0
	for _, s := range slots {
		for _, z := range s.zero {
			if z {
				n++
			}
		}
	}
	return n
}

// cannotZero: every zeroed half must have an output projection that is known, or its output would not be zero.
func (m *model) cannotZero(slots []slot) string {
	for _, s := range slots {
		for h, z := range s.zero {
			if z && !m.hasOutput(s.from[h], arch.Half(h)) {
				return fmt.Sprintf("no output projection is known among the tensors of layer %d's %s", s.from[h], [2]string{"mixer", "FFN"}[h])
			}
		}
	}
	return ""
}

func (m *model) hasOutput(i int, h arch.Half) bool {
	for _, t := range m.layers[i].tensors {
		if t.half == h && h.IsOutput(t.rest) {
			return true
		}
	}
	return false
}

// zeroed plans a tensor of a zeroed half: zeros in the smallest suitable type for matrices and biases that make up the
// output, and where nothing else needs them for the inner ones; anything else is copied.
func (m *model) zeroed(t layerTensor) gguf.PlanTensor {
	zero := t.half.IsOutput(t.rest) || !m.KeepOthers && t.half.IsInner(t.rest)
	bias := strings.HasSuffix(t.rest, ".bias")
	zero = zero || bias && arch.IsPostNorm(t.rest)
	if !zero || !bias && !strings.HasSuffix(t.rest, ".weight") {
		return m.contents.Copy(t.Tensor, t.Name)
	}
	typ := t.Type
	if !bias && len(t.Dims) > 1 {
		typ = ZeroType(t.Tensor)
	}
	size := typ.RowBytes(t.Dims[0]) * t.Rows()
	return gguf.PlanTensor{Name: t.Name, Type: typ, Dims: t.Dims, Data: gguf.Zeros(size)}
}

// ZeroType is the smallest tensor type for zeros that CPU, CUDA, Metal and Vulkan all run. All-zero bytes are zeros in each.
// Unquantised models get F16, so that they can still be quantised. It is t's own type where no other is smaller.
func ZeroType(t gguf.Tensor) gguf.Type {
	row := t.Dims[0]
	best := gguf.F16
	switch {
	case !t.Type.Quantized():
	case row%gguf.Q2_K.BlockSize() == 0:
		best = gguf.Q2_K
	case row%gguf.Q4_0.BlockSize() == 0:
		best = gguf.Q4_0
	}
	if t.Type.RowBytes(row) <= best.RowBytes(row) {
		return t.Type
	}
	return best
}
