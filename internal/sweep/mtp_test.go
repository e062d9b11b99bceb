package main

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
)

// writeLayers writes a model of so many layers, of which the last mtp are for multi-token prediction, each with one tensor of its number.
func writeLayers(t *testing.T, numbers []byte, mtp uint32) string {
	t.Helper()
	plan := &gguf.Plan{}
	for key, v := range map[string]any{
		"general.architecture": "test", "test.block_count": uint32(len(numbers)), "test.nextn_predict_layers": mtp, "test.embedding_length": uint32(1),
		"test.list": make([]uint32, len(numbers)),
	} {
		kv, err := gguf.NewKV(key, v)
		if err != nil {
			t.Fatal(err)
		}
		plan.KVs = append(plan.KVs, kv)
	}
	for i, n := range numbers {
		name := "blk." + string(rune('0'+i)) + ".attn_norm.weight"
		raw := binary.LittleEndian.AppendUint32(nil, uint32(n))
		plan.Tensors = append(plan.Tensors, gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: []uint64{1}, Data: gguf.Bytes(raw)})
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	w, err := gguf.WriteTemp(t.Context(), path, plan, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckMTP(t *testing.T) {
	t.Parallel()
	source, err := gguf.Open(writeLayers(t, []byte{1, 2, 3}, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for name, c := range map[string]struct {
		numbers []byte
		mtp     uint32
		ok      bool
	}{
		"a layer less": {[]byte{1, 3}, 1, true}, "the layer gone": {[]byte{1, 2}, 0, false}, "another": {[]byte{1, 2}, 1, false},
	} {
		if err := checkMTP(source, writeLayers(t, c.numbers, c.mtp)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGraftAddsALayer(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "out.gguf")
	if err := graft(t.Context(), writeLayers(t, []byte{1, 2}, 0), to, true); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	layers, end, err := mtpLayers(f)
	kv, _ := f.KV("test.list")
	list, errV := kv.Value()
	if n, _ := list.([]uint32); err != nil || errV != nil || layers != 2 || end != 3 || len(n) != 3 {
		t.Errorf("layers %d to %d of %v, %v %v", layers, end, list, err, errV)
	}
	if _, ok := f.Tensor("blk.2.nextn.eh_proj.weight"); !ok {
		t.Error("no projection")
	}
}
