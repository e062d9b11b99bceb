package layout

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// Scales are tensors of one F32 beside a matrix, blk.N.attn_q.scale, by which llama.cpp multiplies the product. They come
// with NVFP4 weights. deci multiplies by those of the attention, but not by those of the FFN, although it loads them. A
// factor of unquantised weights can be folded into them; it then rounds each weight instead of the product.

// maxFolded bounds the bytes of weights that are held in memory to fold factors into them. Such models are tiny ones made
// for tests: what is converted from real checkpoints has factors with NVFP4 weights only.
const maxFolded = 256 << 20

// isScale reports whether the tensor is a factor that deci handles as the source does.
func isScale(rest string) bool {
	return strings.HasPrefix(rest, "attn_") && strings.HasSuffix(rest, ".scale")
}

// deciScales says which scale of the model deci cannot express, "" if none.
func (m *model) deciScales(d deciSource) string {
	folded := int64(0)
	for i, l := range m.layers {
		for _, t := range l.tensors {
			if t.Type == gguf.NVFP4 {
				return fmt.Sprintf("%s is NVFP4, and deci ignores the factors of an FFN", t.Name)
			}
			if m.foldedScale(d, i, t.rest) == 1 {
				continue
			}
			if folded += t.Size; t.Type.Quantized() || folded > maxFolded {
				return fmt.Sprintf("the factor of %s cannot be folded into it", t.Name)
			}
		}
	}
	return ""
}

// foldedScale is the factor to fold into a tensor of layer i, 1 where there is none. llama.cpp's FFN adds the bias first and
// multiplies then, so that the bias is scaled too.
func (m *model) foldedScale(d deciSource, i int, rest string) float32 {
	base, kind, _ := strings.Cut(rest, ".")
	if !d.scaledFFN || !strings.HasPrefix(base, "ffn_") || kind != "weight" && kind != "bias" {
		return 1
	}
	t, ok := m.src.Tensor(tensorName(i, base+".scale"))
	if !ok || t.Type != gguf.F32 || t.Size != 4 {
		return 1
	}
	var b [4]byte
	if _, err := io.ReadFull(m.src.Data(t), b[:]); err != nil {
		return float32(math.NaN()) // fails again, with its error, when the weights are read
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b[:]))
}

// scaled plans an unquantised tensor times scale, as F32.
func (m *model) scaled(t gguf.Tensor, scale float32) (gguf.PlanTensor, error) {
	raw, changed := m.changed[t.Name]
	if !changed {
		raw = make([]byte, t.Size)
		if _, err := io.ReadFull(m.src.Data(t), raw); err != nil {
			return gguf.PlanTensor{}, fmt.Errorf("read tensor %s: %w", t.Name, err)
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
	return gguf.PlanTensor{Name: t.Name, Type: gguf.F32, Dims: t.Dims, Data: gguf.Bytes(out)}, nil
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
