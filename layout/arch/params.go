package arch

import (
	"fmt"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// Params are a model's hyperparameters, as its metadata has them.
type Params struct {
	File       *gguf.File
	Arch       string
	NLayer     int // layers, without those of a multi-token-prediction head
	BlockCount int // layers with them; they are the last ones
}

// readParams reads the number of layers. It fails where that is none that llama.cpp loads.
func readParams(f *gguf.File) (Params, error) {
	const most = 512 // LLAMA_MAX_LAYERS
	p := Params{File: f, Arch: f.Arch()}
	if p.Arch == "" {
		return p, fmt.Errorf("the model has no general.architecture")
	}
	n, found, err := f.Uint(p.Key("block_count"))
	if err != nil {
		return p, err
	}
	if !found || n == 0 || n > most {
		return p, fmt.Errorf("the model's %s is %d; 1 to %d layers are possible", p.Key("block_count"), n, most)
	}
	nextn, _, err := f.Uint(p.Key("nextn_predict_layers"))
	if err != nil {
		return p, err
	}
	if nextn >= n {
		return p, fmt.Errorf("the model's %s is %d of %d layers", p.Key("nextn_predict_layers"), nextn, n)
	}
	p.NLayer, p.BlockCount = int(n-nextn), int(n)
	return p, nil
}

// Key is the metadata key of that name in the architecture's own namespace.
func (p Params) Key(name string) string { return p.Arch + "." + name }

// Int reads an integer key of the architecture, or fallback where it is absent or of another type.
func (p Params) Int(name string, fallback int) int {
	v, found, err := p.File.Uint(p.Key(name))
	if err != nil || !found {
		return fallback
	}
	return int(v)
}

// Array reads an array of numbers or bools. key is the whole key.
func (p Params) Array(key string) (metadata.Array, bool) {
	kv, ok := p.File.KV(key)
	if !ok {
		return metadata.Array{}, false
	}
	return metadata.ParseArray(kv)
}

// PerLayer reads an integer array with one element per layer, nil where the key holds none.
func (p Params) PerLayer(name string) []uint64 {
	if a, ok := p.Array(p.Key(name)); !ok || a.Len() < p.NLayer {
		return nil
	}
	v, _, err := p.File.Uints(p.Key(name))
	if err != nil {
		return nil
	}
	return v
}

// Spread reads an integer, or an array with one per layer, as one per layer. 0 stands for what is not there.
func (p Params) Spread(name string) []int {
	out := make([]int, p.NLayer)
	v, _, err := p.File.Uints(p.Key(name))
	if err != nil || len(v) == 0 {
		return out
	}
	for i := range out {
		switch {
		case len(v) == 1:
			out[i] = int(v[0])
		case i < len(v):
			out[i] = int(v[i])
		}
	}
	return out
}
