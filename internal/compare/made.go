package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/internal/source"
)

// slack is how much larger than wanted an estimated size may be: it is for another model.
const slack = 1.05

// recipe is how a rival is made.
type recipe struct {
	name   string // what it is called: its type, and what is particular
	params engine.QuantizeParams
}

// makeRival quantises the first model to the largest type that makes it at most as large as the subject, and measures that.
func (c *comparer) makeRival(ctx context.Context, limit int64) error {
	auto := c.j.Rival == RivalAuto
	var smallest struct {
		name  string
		bytes int64
	}
	types := rivalChoices(c.j.Rival, c.files[0], limit)
	if len(types) == 0 { // then it is worth telling how small it would be
		types = RivalTypes()[len(quantBits)-1:]
	}
	for _, small := range []bool{false, true} {
		for _, typ := range types {
			r, err := c.recipe(typ, small)
			if err != nil {
				return err
			}
			size, err := c.planned(ctx, r.params)
			if err != nil {
				return err
			}
			if smallest.name == "" || size < smallest.bytes {
				smallest.name, smallest.bytes = r.name, size
			}
			if auto && size > limit {
				continue
			}
			if done, err := c.tryRival(ctx, r, size, limit); done || err != nil {
				return err
			}
		}
	}
	reason := fmt.Sprintf("no quantisation of the original that needs no importance matrix fits into %s", format.MiB(limit))
	if smallest.name != "" {
		reason += fmt.Sprintf(" (%s takes %s)", smallest.name, format.MiB(smallest.bytes))
	}
	c.out.Rival = &Rival{Reason: reason}
	return nil
}

// smallType is what the matrix at the output gets where no usual mixture of types is small enough: mixtures have it in Q6_K, or in
// Q8_0 where its rows are no multiple of 256, and of a small model with a large vocabulary it is a good part.
const smallType = gguf.Q4_0

// recipe says how to quantise to a type; small is a smaller matrix at the output, which in many models is that of the embeddings, too.
func (c *comparer) recipe(name string, small bool) (recipe, error) {
	typ, err := c.j.Spec.Engine.ParseFileType(name)
	if err != nil {
		return recipe{}, err
	}
	r := recipe{name: name, params: engine.QuantizeParams{Type: typ, Threads: c.j.Spec.Threads, AllowRequantize: true}}
	if !small {
		return r, nil
	}
	id := uint32(smallType)
	if t, ok := c.files[0].Tensor("output.weight"); ok && t.Dims[0]%smallType.BlockSize() == 0 {
		r.name, r.params.OutputType = fmt.Sprintf("%s with %s output", name, smallType), &id
	} else if t, tied := c.files[0].Tensor("token_embd.weight"); !ok && tied && t.Dims[0]%smallType.BlockSize() == 0 {
		r.name, r.params.EmbeddingType = fmt.Sprintf("%s with %s embeddings", name, smallType), &id
	}
	return r, nil
}

// planned is the size of the first model quantised, but for some bytes of metadata.
func (c *comparer) planned(ctx context.Context, p engine.QuantizeParams) (int64, error) {
	f := c.files[0]
	tensors, err := c.j.Spec.Engine.QuantizePlan(ctx, f.Paths()[0], p)
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

// rivalChoices returns the types to try, from large to small: those that may give a file of at most limit bytes.
func rivalChoices(asked string, f *gguf.File, limit int64) []string {
	if asked != RivalAuto {
		return []string{asked}
	}
	var out []string
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

// tryRival quantises to a temporary file of about size bytes, and measures that if it is small enough.
func (c *comparer) tryRival(ctx context.Context, r recipe, size, limit int64) (done bool, err error) {
	file, err := c.reserve(ctx, size, r.name)
	if err != nil {
		return false, err
	}
	defer file.Discard() //nolint:errcheck // a temporary file; what was measured counts
	if err := c.quantize(ctx, r, file.Path); err != nil {
		return false, err
	}
	f, err := source.OpenFile(file.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if f.Bytes() > limit && c.j.Rival == RivalAuto {
		return false, nil
	}
	v := Rival{Origin: Made, Type: r.name, Label: r.name}
	if v.From = c.handicap(); v.From != "" {
		v.Origin = Requantized
		v.Note = fmt.Sprintf("%s was requantised from %s, which costs it quality; a quant made from the full-precision model would be better, and "+
			"--rival FILE sets one beside it.", r.name, v.From)
	}
	return true, c.measureRival(ctx, v, f)
}

// reserve makes the temporary file of the rival beside the subject, where a file of that size could be written before.
func (c *comparer) reserve(ctx context.Context, need int64, name string) (*gguf.Reserved, error) {
	dir := filepath.Dir(c.j.Models[c.subject].Path)
	if outfile.CheckFolder(dir) != nil {
		dir = os.TempDir()
	}
	if free, err := outfile.Free(dir); err == nil && float64(free) < slack*float64(need) {
		return nil, fmt.Errorf("the original as %s takes %s, and folder %s has %s free; make room, or give --rival-quant off",
			name, format.MiB(need), dir, format.MiB(free))
	}
	file, err := gguf.Reserve(ctx, filepath.Join(dir, "ggufprune-rival"), 0, true)
	if err != nil {
		return nil, fmt.Errorf("a file for the rival cannot be made: %w; give --rival-quant off", err)
	}
	return file, nil
}

// quantize writes the first model in another type to path. The quantiser runs in a process of its own: it cannot be stopped within a
// tensor, and an assertion of its threads ends its process.
func (c *comparer) quantize(ctx context.Context, r recipe, path string) error {
	bar := c.sink.Start("quantise the original to "+r.name, 1)
	defer bar.Stop()
	return quantproc.Run(ctx, c.j.Spec.Engine, quantproc.Request{In: c.files[0].Paths()[0], Out: path, Params: r.params}, nil)
}
