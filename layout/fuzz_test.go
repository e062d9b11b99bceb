package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/naming"
)

// foreignKV is any value of a key: kind says its type, from 128 on that of the elements of an array.
func foreignKV(key string, kind uint8, value []byte) gguftest.KV {
	le := binary.LittleEndian
	typ := uint32(kind % 13)
	raw := le.AppendUint32(nil, typ)
	text := func(b []byte) []byte { return append(le.AppendUint64(nil, uint64(len(b))), b...) }
	sizes := []int{1, 1, 2, 2, 4, 4, 4, 1, 1, 0, 8, 8, 8} // by type
	switch {
	case kind >= 128 && typ == 8:
		raw = le.AppendUint64(append(le.AppendUint32(nil, 9), raw...), uint64(len(value)))
		for i := range value {
			raw = append(raw, text(value[i:i+1])...)
		}
	case kind >= 128 && typ != 9:
		n := len(value) / sizes[typ]
		raw = le.AppendUint64(append(le.AppendUint32(nil, 9), raw...), uint64(n))
		raw = append(raw, value[:n*sizes[typ]]...)
	case typ == 8:
		raw = append(raw, text(value)...)
	default:
		raw = append(raw, append(slices.Clone(value), make([]byte, 8)...)[:sizes[typ]]...)
	}
	return gguftest.KV{Key: key, Value: gguftest.Raw(raw)}
}

// A name that another number of the same value makes is none of the layer's: the two would be one in the file.
func TestNamesOfLayers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"blk.0.x": true, "blk.12.x.y": true, "blk.00.x": false, "blk.+1.x": false, "blk.-0.x": false, "blk.-1.x": false, "blk.1": false, "blk..x": false,
		"blk.18446744073709551616.x": false, "x.blk.1.y": false,
	} {
		layer, rest, ok := arch.SplitName(name)
		if ok != want || ok && arch.TensorName(layer, rest) != name {
			t.Errorf("%s is %q of layer %d: %v", name, rest, layer, ok)
		}
	}
}

// FuzzBuild plans files of a small model of any architecture with any one key and any one tensor, without any blocks. What is planned can
// be written and opened, and has a name that is one; what is not is refused with one line. "$" in a key stands for the architecture.
func FuzzBuild(f *testing.F) {
	u32 := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	f.Add("llama", "$.block_count", uint8(4), u32(2), "blk.1.ffn_down.weight", uint8(96), uint8(64), "attn:1,ffn:1", uint8(0))
	f.Add("llama", "$.block_count", uint8(4), u32(512), "blk.511.x", uint8(1), uint8(1), "attn:0", uint8(3))
	f.Add("llama", "$.attention.head_count_kv", uint8(128+4), append(append(u32(1), u32(0)...), u32(2)...), "blk.0.attn_k.weight", uint8(64), uint8(32), "attn:2", uint8(2))
	f.Add("llama", "$.attention.head_count", uint8(11), []byte{255, 255, 255, 255, 255, 255, 255, 127}, "rope_freqs.weight", uint8(16), uint8(1), "ffn:0", uint8(1))
	f.Add("llama", "$.feed_forward_length", uint8(128+5), u32(1<<31), "blk.0.ffn_gate.weight", uint8(0), uint8(0), "ffn:0-2", uint8(0))
	f.Add("gemma3", "$.attention.sliding_window_pattern", uint8(128+7), []byte{1, 0, 1}, "blk.-1.x", uint8(3), uint8(0), "attn:0,ffn:0", uint8(1))
	f.Add("qwen3", "general.name", uint8(8), []byte("../a b\x00\n-7B"), "output.weight", uint8(64), uint8(8), "attn:1,ffn:1", uint8(129))
	f.Add("deci", "ggufprune.mask", uint8(8), []byte(`{"text":"ffn:0=1","kept":[{"block":"ffn:0","channels":"0"}]}`), "blk.00.ffn_up.weight", uint8(1), uint8(2), "ffn:1", uint8(2))
	f.Add("x", "$.nextn_predict_layers", uint8(4), u32(2), "blk.2.nextn.eh_proj.weight", uint8(2), uint8(2), "attn:0", uint8(0))
	f.Add("jamba", "general.size_label", uint8(8), []byte("7B"), "blk.1.ssm_in.weight", uint8(64), uint8(8), "attn:1", uint8(3))
	f.Add("", "general.file_type", uint8(4), u32(1<<31), "", uint8(1), uint8(1), "", uint8(9))
	small := []string{
		"attn_norm.weight 8", "attn_q.weight 8 8", "attn_k.weight 8 4", "attn_v.weight 8 4", "attn_output.weight 8 8",
		"ffn_norm.weight 8", "ffn_gate.weight 8 12", "ffn_up.weight 8 12", "ffn_down.weight 12 8",
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, of, key string, kind uint8, value []byte, tensor string, columns, rows uint8, removed string, layout uint8) {
		m := fixture{arch: of, layers: 3, kvs: []any{"embedding_length", uint32(8), "feed_forward_length", uint32(12)}, layer: small}.model()
		kv := foreignKV(strings.Replace(key, "$", of, 1), kind, value)
		m.KVs = append(slices.DeleteFunc(m.KVs, func(x gguftest.KV) bool { return x.Key == kv.Key }), kv)
		dims := []uint64{uint64(columns), uint64(rows)}
		if rows == 0 {
			dims = dims[:1]
		}
		m.Tensors = append(slices.DeleteFunc(m.Tensors, func(x gguftest.Tensor) bool { return x.Name == tensor }),
			gguftest.Tensor{Name: tensor, Dims: dims, Data: make([]byte, 4*int(columns)*max(1, int(rows)))})
		path := filepath.Join(dir, "source.gguf")
		if err := os.WriteFile(path, gguftest.Build(m), 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := gguf.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		mask, err := blockmask.Parse(removed)
		if err != nil || len(mask) > 100 {
			return
		}
		fuzztest.Bounded(t, int(file.Bytes()), func() {
			r := Request{Source: file, Blocks: blocksOf(file), Removed: mask, Kind: Kinds[int(layout)%len(Kinds)]}
			if len(r.Blocks) > 0 && layout >= 128 {
				Weigh(file, r.Blocks).Of(r.Blocks[0].Block)
			}
			res, err := Build(r)
			if err != nil {
				fuzztest.OneLine(t, err, 10*len(of)+len(key)+len(tensor)+len(removed))
				return
			}
			checkName(t, naming.DefaultName(file, res.Plan.KVs, "", naming.Encoding(file)))
			if size, err := Size(r); err != nil || size != res.Plan.Size() {
				t.Errorf("the size is %d, %v, that of the plan %d", size, err, res.Plan.Size())
			}
			checkWritten(t, filepath.Join(dir, "out.gguf"), res)
		})
	})
}

// checkName fails t unless a file can be called so on any system.
func checkName(t *testing.T, name string) {
	t.Helper()
	first, _ := utf8.DecodeRuneInString(name)
	if len(name) > 255 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\:\x00\r\n ") || !unicode.IsLetter(first) && !unicode.IsNumber(first) {
		t.Errorf("the file is called %q", name)
	}
}

// checkWritten writes what was planned, and opens it.
func checkWritten(t *testing.T, path string, res *Result) {
	t.Helper()
	os.Remove(path)
	p, err := gguf.WriteTemp(context.Background(), path, res.Plan, gguf.WriteOptions{})
	if err != nil {
		t.Fatalf("what was planned cannot be written: %v", err)
	}
	if _, err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	out, err := gguf.Open(path)
	if err != nil {
		t.Fatalf("what was written cannot be opened: %v", err)
	}
	defer out.Close()
	if out.Params() != res.Params || out.Bytes() != res.Plan.Size() {
		t.Errorf("%d parameters in %d bytes were written, %d in %d planned", out.Params(), out.Bytes(), res.Params, res.Plan.Size())
	}
	if _, err := Build(Request{Source: out, Blocks: blocksOf(out)}); err != nil {
		refused := (*RefusedError)(nil)
		if !errors.As(err, &refused) && !strings.Contains(err.Error(), "no blocks") {
			t.Errorf("of what was written: %v", err)
		}
	}
}
