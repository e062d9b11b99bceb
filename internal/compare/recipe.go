package compare

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// quantBits are llama-quantize's types that need no importance matrix, with the bits that a weight takes in an 8B model, from
// large to small (llama.cpp, tools/quantize/README.md).
var quantBits = []struct {
	name string
	bits float64
}{
	{"Q8_0", 8.50},
	{"Q6_K", 6.56},
	{"Q5_K_M", 5.70},
	{"Q5_K_S", 5.57},
	{"Q4_K_M", 4.89},
	{"Q4_K_S", 4.67},
	{"IQ4_XS", 4.46},
	{"Q3_K_L", 4.30},
	{"Q3_K_M", 4.00},
	{"Q3_K_S", 3.64},
	{"Q2_K", 3.16},
}

// RivalTypes are the types that [Job].Rival may name.
func RivalTypes() []string {
	var out []string
	for _, q := range quantBits {
		out = append(out, q.name)
	}
	return out
}

// slack is how much larger than wanted an estimated size may be: it is for another model.
const slack = 1.05

// typesWithin are the types, from large to small, that may give a file of at most limit bytes, and one smaller than f.
func typesWithin(f *gguf.File, limit int64) (out []string) {
	for _, q := range quantBits {
		if size := quantSize(f, q.bits); float64(size) <= slack*float64(limit) && size < f.Bytes() {
			out = append(out, q.name)
		}
	}
	return out
}

// quantSize estimates the size of f quantised to so many bits for each weight of a matrix.
func quantSize(f *gguf.File, bits float64) int64 {
	size := f.Bytes()
	for _, t := range f.Tensors() {
		if len(t.Dims) > 1 {
			size += int64(float64(t.Elements())*bits/8) - t.Size
		}
	}
	return size
}

// recipe is how a rival is made.
type recipe struct {
	name   string // what it is called: its type, and what is particular
	params engine.QuantizeParams
}

// smallType is what the matrix at the output gets where no usual mixture of types is small enough: mixtures have it in Q6_K, or in
// Q8_0 where its rows are no multiple of 256, and of a small model with a large vocabulary it is a good part.
const smallType = gguf.Q4_0

// newRecipe says how to quantise f to a type; small is a smaller matrix at the output, which in many models is that of the embeddings,
// too.
func newRecipe(e engine.Quantizer, f *gguf.File, threads int, name string, small bool) (recipe, error) {
	typ, err := e.ParseFileType(name)
	if err != nil {
		return recipe{}, err
	}
	r := recipe{name: name, params: engine.QuantizeParams{Type: typ, Threads: threads, AllowRequantize: true}}
	if !small {
		return r, nil
	}
	id := uint32(smallType)
	if t, ok := f.Tensor("output.weight"); ok && t.Dims[0]%smallType.BlockSize() == 0 {
		r.name, r.params.OutputType = fmt.Sprintf("%s with %s output", name, smallType), &id
	} else if t, tied := f.Tensor("token_embd.weight"); !ok && tied && t.Dims[0]%smallType.BlockSize() == 0 {
		r.name, r.params.EmbeddingType = fmt.Sprintf("%s with %s embeddings", name, smallType), &id
	}
	return r, nil
}

// usual reports whether the type alone decides.
func (r recipe) usual() bool { return r.params.OutputType == nil && r.params.EmbeddingType == nil }

// planned is the size of f quantised, but for some bytes of metadata.
func (r recipe) planned(ctx context.Context, e engine.Quantizer, f *gguf.File) (int64, error) {
	tensors, err := e.QuantizePlan(ctx, f.Paths()[0], r.params)
	if err != nil {
		return 0, err
	}
	size := f.Bytes()
	for _, q := range tensors {
		if t, ok := f.Tensor(q.Name); ok && q.Changed {
			size += gguf.Type(q.Type).RowBytes(t.Dims[0])*t.Rows() - t.Size
		}
	}
	return size, nil
}

// Quant is a way to quantise a model, as [RivalAuto] chooses it.
type Quant struct {
	Name       string     // its type, and what is particular: "Q3_K_S with Q4_0 embeddings"
	Type       string     // llama-quantize's name
	Output     *gguf.Type // of output.weight; nil: what the type says
	Embeddings *gguf.Type // the same of the embeddings
	Bytes      int64      // of the file, but for some of metadata
}

// Quants are the ways to quantise f that need no importance matrix and make a file of at most limit bytes. The first is the best: the
// largest type, and a smaller matrix at the output only where nothing fits without.
func Quants(ctx context.Context, e engine.Quantizer, f *gguf.File, limit int64) ([]Quant, error) {
	var out []Quant
	for _, small := range []bool{false, true} {
		for _, typ := range typesWithin(f, limit) {
			r, err := newRecipe(e, f, 0, typ, small)
			if err != nil {
				return nil, err
			}
			if small && r.usual() {
				continue
			}
			size, err := r.planned(ctx, e, f)
			if err != nil {
				return nil, err
			}
			if size <= limit {
				out = append(out, Quant{r.name, typ, typeOf(r.params.OutputType), typeOf(r.params.EmbeddingType), size})
			}
		}
	}
	return out, nil
}

func typeOf(id *uint32) *gguf.Type {
	if id == nil {
		return nil
	}
	t := gguf.Type(*id)
	return &t
}
