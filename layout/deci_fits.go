package layout

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// cannotBeDeci says what of the model deci cannot express, "" if nothing.
func cannotBeDeci(m *model) string {
	if m.Deci == nil {
		return "this architecture is not one that deci can stand for"
	}
	if why := m.Deci.Refuses(m.Params); why != "" {
		return why
	}
	for _, check := range []func(*model) string{deciKeys, deciHeads, deciTensors, deciScales} {
		if why := check(m); why != "" {
			return why
		}
	}
	return ""
}

// deciIsExact: permuted heads add up in another order, and a factor that is folded into weights rounds them.
func deciIsExact(m *model) bool {
	if m.Deci.NEOX {
		return false
	}
	for i := range m.NLayer {
		if !m.remains(i, arch.FFN) {
			continue
		}
		for _, t := range m.layers[i].tensors {
			if foldedScale(m, i, t.rest) != 1 {
				return false
			}
		}
	}
	return true
}

// deciKeys: what the metadata must not say.
func deciKeys(m *model) string {
	switch {
	case m.BlockCount != m.NLayer:
		return "deci has no multi-token-prediction head"
	case m.Int("context_length", 0) == 0 || m.Int("embedding_length", 0) == 0:
		return "context_length or embedding_length is missing"
	}
	return ""
}

// deciHeads: heads of one size, all of whose dimensions are rotated.
func deciHeads(m *model) string {
	h := m.Heads()
	switch {
	case h.Size == 0 || h.Count[0] == 0:
		return "the first layer has no attention heads"
	case h.Value != h.Size:
		return fmt.Sprintf("heads of Q and K have %d dimensions, those of V %d", h.Size, h.Value)
	case h.Rot != h.Size:
		return fmt.Sprintf("%d of %d dimensions of a head are rotated (rope.dimension_count)", h.Rot, h.Size)
	case h.Size%2 != 0:
		return "heads have an odd number of dimensions"
	}
	return ""
}

// deciLayer are the names of the tensors of a layer that are known, after renaming.
var deciLayer = []string{
	"attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight", "attn_qkv.weight",
	"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "attn_qkv.bias",
	"ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight", "ffn_gate.bias", "ffn_up.bias", "ffn_down.bias",
}

// deciGlobal are the names of the other tensors. rope_factors are loaded with rope.scaling.type longrope, rope_freqs
// without.
var deciGlobal = []string{
	"token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight", "rope_factors_long.weight",
	"rope_factors_short.weight",
}

// deciTensors: an unknown tensor means a model that is not Llama's, and llama.cpp refuses files with unused tensors.
func deciTensors(m *model) string {
	d := m.Deci
	for _, t := range m.tensors {
		if !slices.Contains(deciGlobal, t.Name) {
			return fmt.Sprintf("deci has no tensor %s", t.Name)
		}
	}
	for _, l := range m.layers {
		for _, t := range l.tensors {
			rest := d.NameOf(t.rest)
			switch {
			case d.Drops(rest), isScale(rest):
			case !slices.Contains(deciLayer, rest):
				return fmt.Sprintf("deci has no tensor %s", t.Name)
			case t.half == arch.Neither:
				return fmt.Sprintf("%s belongs to neither attention nor FFN", t.Name)
			case d.FusedUp && strings.HasPrefix(rest, "ffn_gate"), d.FusedUp && rest == "ffn_up.bias":
				return fmt.Sprintf("%s is not expected beside a fused ffn_up", t.Name)
			}
		}
	}
	return ""
}

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
func deciScales(m *model) string {
	folded := int64(0)
	for i, l := range m.layers {
		for _, t := range l.tensors {
			if t.Type == gguf.NVFP4 {
				return fmt.Sprintf("%s is NVFP4, and deci ignores the factors of an FFN", t.Name)
			}
			if foldedScale(m, i, t.rest) == 1 {
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
func foldedScale(m *model, i int, rest string) float32 {
	base, kind, _ := strings.Cut(rest, ".")
	if !m.Deci.ScaledFFN || !strings.HasPrefix(base, "ffn_") || kind != "weight" && kind != "bias" {
		return 1
	}
	t, ok := m.File.Tensor(arch.TensorName(i, base+".scale"))
	if !ok || t.Type != gguf.F32 || t.Size != 4 {
		return 1
	}
	var b [4]byte
	if _, err := io.ReadFull(m.File.Data(t), b[:]); err != nil {
		return float32(math.NaN()) // fails again, with its error, when the weights are read
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b[:]))
}
