package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// notModels are GGUF files that hold no model, by their names.
func notModels() map[string]gguftest.Model {
	arch := gguftest.KV{Key: "general.architecture", Value: "llama"}
	return map[string]gguftest.Model{
		"lora.gguf":   {KVs: []gguftest.KV{arch, {Key: "general.type", Value: "adapter"}, {Key: "adapter.type", Value: "lora"}}},
		"mmproj.gguf": {KVs: []gguftest.KV{{Key: "general.architecture", Value: "clip"}, {Key: "general.type", Value: "mmproj"}, {Key: "clip.projector_type", Value: "mlp"}}},
		"vocab.gguf":  {KVs: []gguftest.KV{arch}},
	}
}

// writeTinyAs writes the small model in other forms: as three files, and with tensors of an image encoder beside its own.
func writeTinyAs(dir string) error {
	f, err := gguf.Open(tinyModel)
	if err != nil {
		return err
	}
	defer f.Close()
	var m gguftest.Model
	for _, kv := range f.KVs() {
		v, err := kv.Value()
		if err != nil {
			return err
		}
		m.KVs = append(m.KVs, gguftest.KV{Key: kv.Key, Value: v})
	}
	for _, t := range f.Tensors() {
		data, err := io.ReadAll(f.Data(t))
		if err != nil {
			return err
		}
		m.Tensors = append(m.Tensors, gguftest.Tensor{Name: t.Name, Type: uint32(t.Type), Dims: t.Dims, Data: data})
	}
	for i, s := range gguftest.Split(m, 3) {
		if err := os.WriteFile(filepath.Join(dir, gguftest.ShardName("three", i, 3)), gguftest.Build(s), 0o644); err != nil {
			return err
		}
	}
	m.Tensors = append(m.Tensors, gguftest.Tensor{Name: "v.blk.0.attn_q.weight", Dims: []uint64{4, 4}, Data: make([]byte, 64)})
	return os.WriteFile(filepath.Join(dir, "fused.gguf"), gguftest.Build(m), 0o644)
}
