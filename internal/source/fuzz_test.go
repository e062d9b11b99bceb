package source

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// FuzzKinds opens files that say of themselves that they are anything. An adapter, a projector and the like are refused by what they are
// before they are loaded, all else is loaded; what cannot be loaded is refused with one line.
func FuzzKinds(f *testing.F) {
	f.Add("model", "llama", "llama.attention.causal", []byte{1}, uint8(7), "token_embd.weight")
	f.Add("adapter", "llama", "adapter.type", []byte("lora"), uint8(8), "blk.0.attn_q.weight.lora_a")
	f.Add("mmproj", "clip", "clip.has_vision_encoder", []byte{1}, uint8(7), "v.blk.0.attn_q.weight")
	f.Add("", "bert", "bert.attention.causal", []byte{0}, uint8(7), "x")
	f.Add("", "llama", "llama.attention.layer_norm_rms_epsilon", []byte{0, 0, 192, 127}, uint8(6), "blk.0.attn_norm.weight")
	f.Add("imatrix", "", "imatrix.datasets", []byte{}, uint8(9), "a.in_sum2")
	f.Add(" adapter\n", "controlvector", "general.architecture", []byte("\n"), uint8(8), "mm.0")
	f.Add("", "a\nb\x1b", "a.b", []byte{}, uint8(0), "v.x")
	path := filepath.Join(f.TempDir(), "m.gguf")
	f.Fuzz(func(t *testing.T, typ, arch, key string, value []byte, kind uint8, tensor string) {
		raw := binary.LittleEndian.AppendUint32(nil, uint32(kind%13))
		switch kind % 13 {
		case 8:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(len(value)))
			raw = append(raw, value...)
		case 9:
			raw = append(raw, 0, 0, 0, 0)
			raw = binary.LittleEndian.AppendUint64(raw, uint64(len(value)))
			raw = append(raw, value...)
		default:
			raw = append(raw, append(slices.Clone(value), make([]byte, 8)...)[:[]int{1, 1, 2, 2, 4, 4, 4, 1, 1, 0, 8, 8, 8}[kind%13]]...)
		}
		m := gguftest.Model{
			KVs:     []gguftest.KV{{Key: "general.type", Value: typ}, {Key: "general.architecture", Value: arch}, {Key: key, Value: gguftest.Raw(raw)}},
			Tensors: []gguftest.Tensor{{Name: tensor, Dims: []uint64{2}, Data: make([]byte, 8)}},
		}
		if tensor == "" {
			m.Tensors = nil
		}
		if err := os.WriteFile(path, gguftest.Build(m), 0o644); err != nil {
			t.Fatal(err)
		}
		tried := false
		e := enginetest.Runtime{OnLoad: func(string) error {
			tried = true
			return &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: "unknown model architecture"}
		}}
		fuzztest.Bounded(t, len(value), func() {
			_, err := Open(t.Context(), Spec{Engine: e, Path: path})
			fuzztest.OneLine(t, err, len(path)+10*len(arch)+4*len(key)+4*len(tensor))
			unfit := (*UnsupportedError)(nil)
			if of := strings.TrimSpace(typ); tried && (of == "adapter" || of == "mmproj" || of == "imatrix" || arch == "clip" || tensor == "") {
				t.Errorf("a file that says that it is %q of %q was loaded", typ, arch)
			} else if tried && !errors.As(err, &unfit) {
				t.Errorf("of an unknown architecture: %v", err)
			}
		})
	})
}
