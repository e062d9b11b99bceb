package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// llama.cpp's fixtures have no layer for multi-token prediction (MTP, "nextn"). So copies of those whose loaders know such layers get one:
// a copy of the last layer behind it, with the tensors that join it to the model. The main pass does not run it.
const (
	withMTP      = "/mtp"
	withMTPAlone = "/mtp-trunk" // metadata tells of the layer, but its tensors are not in the file: they were published apart
)

// mtpModels are the fixtures that get one. Those of nemotron_h lack metadata that loaders want, that of exaone-moe another layer to copy.
var mtpModels = []string{
	"bailingmoe2-moe", "bailingmoe3-moe", "cohere2moe-moe", "deepseek2-moe", "deepseek32-moe", "deepseek4-moe", "dots3note-moe",
	"exaone4-dense", "glm-dsa-moe", "glm4-dense", "glm4moe-moe", "hy_v3-moe", "mimo2-moe", "qwen35-dense", "qwen35moe-moe", "qwen3next-moe",
}

// fixture is a model of a sweep.
type fixture struct{ name, path string }

// fixtures returns the models of dir whose names hold filter, and behind each that has one its copy with MTP, which is written to tmp.
func fixtures(ctx context.Context, dir, filter, tmp string) ([]fixture, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no models in %s: run `make peers`", dir)
	}
	var out []fixture
	for _, p := range paths {
		name := strings.TrimSuffix(filepath.Base(p), ".gguf")
		if strings.Contains(name, filter) {
			out = append(out, fixture{name, p})
		}
		if !slices.Contains(mtpModels, name) {
			continue
		}
		for _, variant := range []string{withMTP, withMTPAlone} {
			if !strings.Contains(name+variant, filter) {
				continue
			}
			to := filepath.Join(tmp, strings.ReplaceAll(name+variant, "/", "-")+".gguf")
			if err := graft(ctx, p, to, variant == withMTP); err != nil {
				return nil, fmt.Errorf("%s%s: %w", name, variant, err)
			}
			out = append(out, fixture{name + variant, to})
		}
	}
	return out, nil
}

// graft writes a copy of a fixture with one more layer, for MTP; with or without the layer's tensors.
func graft(ctx context.Context, from, to string, tensors bool) error {
	f, err := gguf.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	layers, _, errL := f.Uint(f.Arch() + ".block_count")
	embd, _, errE := f.Uint(f.Arch() + ".embedding_length")
	if err := errors.Join(errL, errE); err != nil {
		return err
	}
	plan := &gguf.Plan{}
	if plan.KVs, err = withLayer(f, int(layers)); err != nil {
		return err
	}
	for _, t := range f.Tensors() {
		plan.Tensors = append(plan.Tensors, gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)})
	}
	if tensors {
		addLayer(plan, f, int(layers), embd)
	}
	w, err := gguf.WriteTemp(ctx, to, plan, gguf.WriteOptions{})
	if err != nil {
		return err
	}
	_, err = w.Commit()
	return err
}

// withLayer is the metadata of a model with one more layer, of MTP, that is like the last one.
func withLayer(f *gguf.File, layers int) ([]gguf.KV, error) {
	var out []gguf.KV
	own := f.Arch() + "."
	for _, kv := range f.KVs() {
		v, err := kv.Value()
		if err != nil {
			return nil, err
		}
		switch list := reflect.ValueOf(v); {
		case kv.Key == own+"block_count":
			v = uint32(layers + 1)
		case kv.Key == own+"nextn_predict_layers":
			v = uint32(1)
		case strings.HasPrefix(kv.Key, own) && list.Kind() == reflect.Slice && list.Len() == layers:
			v = reflect.Append(list, list.Index(list.Len()-1)).Interface()
		default:
			out = append(out, kv)
			continue
		}
		if kv, err = gguf.NewKV(kv.Key, v); err != nil {
			return nil, err
		}
		out = append(out, kv)
	}
	return out, nil
}

// addLayer appends the tensors of the MTP layer.
func addLayer(plan *gguf.Plan, f *gguf.File, layers int, embd uint64) {
	add := func(rest string, typ gguf.Type, dims []uint64, data gguf.Data) {
		plan.Tensors = append(plan.Tensors, gguf.PlanTensor{Name: fmt.Sprintf("blk.%d.%s", layers, rest), Type: typ, Dims: dims, Data: data})
	}
	for _, t := range f.Tensors() {
		// The fixtures have scales of weights, too, which loaders do not know for these layers.
		if layer, rest, ok := arch.SplitName(t.Name); ok && layer == layers-1 && !strings.HasSuffix(rest, "scale") {
			add(rest, t.Type, t.Dims, gguf.Copy(f, t))
		}
	}
	rng := rand.New(rand.NewPCG(7, embd))
	noise := func(n uint64) gguf.Data {
		var raw []byte
		for range n {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(.05*(2*rng.Float32()-1)))
		}
		return gguf.Bytes(raw)
	}
	add("nextn.eh_proj.weight", gguf.F32, []uint64{2 * embd, embd}, noise(2*embd*embd))
	norms := []string{"nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm"}
	if f.Arch() == "bailingmoe2" {
		norms[2] = "layer_output_norm"
	}
	for _, norm := range norms {
		add(norm+".weight", gguf.F32, []uint64{embd}, noise(embd))
	}
}

// checkMTP holds that the file at path has the MTP layers of source as they were, behind its own layers: the main pass does not run them,
// so no logits tell.
func checkMTP(source *gguf.File, path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	first, last, err := mtpLayers(source)
	if err != nil {
		return err
	}
	now, end, err := mtpLayers(f)
	if err != nil {
		return err
	}
	if end-now != last-first {
		return fmt.Errorf("%d MTP layers, %d before", end-now, last-first)
	}
	for _, t := range source.Tensors() {
		layer, rest, ok := arch.SplitName(t.Name)
		if !ok || layer < first {
			continue
		}
		name := fmt.Sprintf("blk.%d.%s", layer-first+now, rest)
		kept, ok := f.Tensor(name)
		if !ok {
			return fmt.Errorf("%s is missing, which was %s", name, t.Name)
		}
		was, err := io.ReadAll(source.Data(t))
		if err != nil {
			return err
		}
		is, err := io.ReadAll(f.Data(kept))
		if err != nil {
			return err
		}
		if kept.Type != t.Type || !slices.Equal(kept.Dims, t.Dims) || !bytes.Equal(was, is) {
			return fmt.Errorf("%s is not what %s was", name, t.Name)
		}
	}
	return nil
}

// mtpLayers are the first layer for MTP and the one behind the last.
func mtpLayers(f *gguf.File) (first, end int, err error) {
	layers, _, errL := f.Uint(f.Arch() + ".block_count")
	mtp, _, errM := f.Uint(f.Arch() + ".nextn_predict_layers")
	return int(layers - mtp), int(layers), errors.Join(errL, errM)
}
