package tensors

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/gguf"
)

// Scaled plans an unquantised tensor, or what its cut leaves of it, times scale, as F32. Its weights are held in memory until they are written.
func (s Source) Scaled(t gguf.Tensor, name string, scale float32) (gguf.PlanTensor, error) {
	raw, changed := s.Changed[t.Name]
	if !changed {
		var err error
		if raw, err = s.readCut(t); err != nil {
			return gguf.PlanTensor{}, err
		}
	}
	if math.IsNaN(float64(scale)) {
		return gguf.PlanTensor{}, fmt.Errorf("the factor of tensor %s is not a number", t.Name)
	}
	values, err := toFloat32(raw, t.Type)
	if err != nil {
		return gguf.PlanTensor{}, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v*scale))
	}
	return gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: s.Cuts[t.Name].of(t).Dims, Data: gguf.Bytes(out)}, nil
}

// toFloat32 decodes unquantised weights.
func toFloat32(raw []byte, typ gguf.Type) ([]float32, error) {
	le := binary.LittleEndian
	out := make([]float32, 0, len(raw)/int(typ.TypeSize()))
	for b := raw; len(b) > 0; b = b[typ.TypeSize():] {
		switch typ {
		case gguf.F32:
			out = append(out, math.Float32frombits(le.Uint32(b)))
		case gguf.BF16:
			out = append(out, math.Float32frombits(uint32(le.Uint16(b))<<16))
		case gguf.F16:
			out = append(out, halfToFloat32(le.Uint16(b)))
		default:
			return nil, fmt.Errorf("type %s cannot be scaled", typ)
		}
	}
	return out, nil
}

// halfToFloat32 decodes IEEE 754 binary16.
func halfToFloat32(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
	}
	v := float32(frac) * 0x1p-24
	if sign != 0 {
		v = -v
	}
	return v
}
