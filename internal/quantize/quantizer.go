package quantize

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/layout"
)

// Options say how a file is quantised. The zero value is not at all.
type Options struct {
	Params     engine.QuantizeParams // IMatrix and Metadata are filled here; Type.Name "" is not to quantise
	IMatrix    string                // the source's importance matrix; "" is none
	IMatrixOut string                // where that of the written file goes; "" is nowhere
}

// Asked reports whether there is anything to do.
func (q Options) Asked() bool { return q.Params.Type.Name != "" || q.IMatrix != "" }

// Quantizer is Options that were held against the source.
type Quantizer struct {
	Options
	engine engine.Quantizer
	matrix *imatrix.Matrix // of the source, nil for none
	types  map[string]gguf.Type
}

// CheckOutputs returns an error if the importance matrix cannot be written, before the work.
func (q Options) CheckOutputs(force bool, outputs, inputs []string) error {
	if q.IMatrixOut == "" {
		return nil
	}
	for _, out := range outputs {
		if outfile.SamePath(q.IMatrixOut, out) {
			return fmt.Errorf("the importance matrix and another output are the same file, %s; give them different names", q.IMatrixOut)
		}
	}
	if err := outfile.Check(q.IMatrixOut, force, inputs...); err != nil {
		return fmt.Errorf("importance matrix: %w", err)
	}
	return nil
}

// Prepare reads the importance matrix, and finds what of the request is impossible for the model in f, of nLayer layers: no
// search is spent on it.
func (q Options) Prepare(ctx context.Context, e engine.Quantizer, f *gguf.File, nLayer int) (*Quantizer, error) {
	if !q.Asked() {
		return nil, nil
	}
	z := &Quantizer{Options: q, engine: e}
	if q.IMatrix != "" {
		var err error
		if z.matrix, err = imatrix.Read(q.IMatrix); err != nil {
			return nil, err
		}
		if err := z.matrix.Check(q.IMatrix, f.Tensors(), nLayer); err != nil {
			return nil, err
		}
	}
	if q.Params.Type.Name == "" {
		return z, nil
	}
	if err := q.checkRules(f); err != nil {
		return nil, err
	}
	var err error
	z.types, _, err = z.plan(ctx, f, z.matrix)
	return z, err
}

// checkRules refuses rules for tensors that are not there. llama.cpp ignores them. What is no regular expression in Go may be one in
// C++, and llama.cpp says so if it is not.
func (q Options) checkRules(f *gguf.File) error {
	for _, rule := range q.Params.TensorTypes {
		re, err := regexp.Compile(rule.Pattern)
		if err == nil && !slices.ContainsFunc(f.Tensors(), func(t gguf.Tensor) bool { return len(t.Dims) > 1 && re.MatchString(t.Name) }) {
			return fmt.Errorf("--tensor-type: %q is found in no name of a matrix of %s; the names are such as %s", rule.Pattern, f.Paths()[0], exampleName(f))
		}
	}
	return nil
}

// exampleName is the name of a matrix in a layer, or of any tensor.
func exampleName(f *gguf.File) string {
	name := "blk.0.attn_v.weight"
	for i, t := range f.Tensors() {
		if i == 0 || len(t.Dims) > 1 && strings.HasPrefix(t.Name, "blk.") {
			name = t.Name
			if i > 0 {
				break
			}
		}
	}
	return name
}

// Types are those that the source's tensors would have in a quantised file, by their names; nil where none is written.
func (z *Quantizer) Types() map[string]gguf.Type {
	if z == nil {
		return nil
	}
	return z.types
}

// Quantizes reports whether z quantises; a nil z does not.
func (z *Quantizer) Quantizes() bool { return z != nil && z.Params.Type.Name != "" }

// Matrix is the importance matrix of the source, nil for none.
func (z *Quantizer) Matrix() *imatrix.Matrix { return z.matrix }

// MatrixFor is the importance matrix of the file that res plans from the source, nil for none.
func (z *Quantizer) MatrixFor(res *layout.Result) *imatrix.Matrix {
	if z.matrix == nil {
		return nil
	}
	return z.matrix.For(res.Plan, res.Columns)
}

// params completes the parameters with importances, which belong to the file that is quantised.
func (z *Quantizer) params(m *imatrix.Matrix) engine.QuantizeParams {
	p := z.Params
	if m == nil {
		return p
	}
	p.IMatrix = m.Values()
	// The keys that llama-quantize writes. The folder of the file is private.
	p.Metadata = append(slices.Clip(p.Metadata), engine.QuantizeKV{Key: "quantize.imatrix.file", Text: filepath.Base(z.IMatrix)})
	if len(m.Datasets) > 0 && m.Datasets[0] != "" {
		p.Metadata = append(p.Metadata, engine.QuantizeKV{Key: "quantize.imatrix.dataset", Text: m.Datasets[0]})
	}
	p.Metadata = append(p.Metadata, engine.QuantizeKV{Key: "quantize.imatrix.entries_count", Number: uint32(len(m.Entries))})
	if m.Chunks > 0 {
		p.Metadata = append(p.Metadata, engine.QuantizeKV{Key: "quantize.imatrix.chunks_count", Number: m.Chunks})
	}
	return p
}

// plan returns what each tensor of f becomes with the importances m, and the bytes of the file, or why it is impossible.
func (z *Quantizer) plan(ctx context.Context, f *gguf.File, m *imatrix.Matrix) (map[string]gguf.Type, int64, error) {
	p := z.params(m)
	if a := f.Alignment(); a != 32 {
		// It copies general.alignment, and aligns to GGUF_DEFAULT_ALIGNMENT nevertheless: nothing could read that.
		return nil, 0, fmt.Errorf("the tensors of %s are aligned to %d bytes, and llama.cpp's quantiser writes none but 32; convert the model anew", f.Paths()[0], a)
	}
	tensors, err := z.engine.QuantizePlan(ctx, f.Paths()[0], p)
	if err != nil {
		return nil, 0, z.explain(err)
	}
	types := map[string]gguf.Type{}
	size := f.Bytes()
	var without []string // tensors that would need importances and have none
	for _, t := range tensors {
		have, ok := f.Tensor(t.Name)
		if !ok {
			return nil, 0, fmt.Errorf("llama.cpp finds a tensor %q in %s that is not there", t.Name, f.Paths()[0])
		}
		if !t.Changed {
			types[t.Name] = have.Type
			continue
		}
		typ := gguf.Type(t.Type)
		types[t.Name] = typ
		size += typ.RowBytes(have.Dims[0])*have.Rows() - have.Size
		if have.Type.Quantized() && !p.AllowRequantize {
			return nil, 0, fmt.Errorf("%s is quantised already (%s is %s), and to quantise again costs quality; start from an F16 or BF16 model, or give --allow-requantize",
				f.Paths()[0], t.Name, have.Type.Name())
		}
		if _, ok := p.IMatrix[t.Name]; !ok && z.engine.NeedsIMatrix(t, z.Params.Type) {
			without = append(without, fmt.Sprintf("%s (%s)", t.Name, typ.Name()))
		}
	}
	if len(without) > 0 {
		return nil, 0, z.unweighted(without)
	}
	return types, size, nil
}

// unweighted is the error for tensors, named with their types, that llama.cpp quantises by importances only and that have none.
func (z *Quantizer) unweighted(tensors []string) error {
	text := strings.Join(tensors[:min(3, len(tensors))], ", ")
	if n := len(tensors) - 3; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	if z.matrix == nil {
		return fmt.Errorf("type %s needs an importance matrix for %s; give one made by llama-imatrix with --imatrix, or a larger type", z.Params.Type.Name, text)
	}
	first, _, _ := strings.Cut(tensors[0], " ")
	return fmt.Errorf("the importance matrix %s has no entry for %s, and type %s needs one; give them another type, as by --tensor-type %s=q4_K, "+
		"or make the matrix anew on more text (llama-imatrix never runs layers that predict further tokens, or the embedding)",
		z.IMatrix, text, z.Params.Type.Name, strings.TrimSuffix(first, ".weight"))
}

// Run quantises the file f, whose importances are m, into a temporary file beside path.
func (z *Quantizer) Run(ctx context.Context, f *gguf.File, m *imatrix.Matrix, path string, force bool, label string, sink progress.Sink) (*gguf.Pending, error) {
	types, size, err := z.plan(ctx, f, m)
	if err != nil {
		return nil, err
	}
	r, err := gguf.Reserve(ctx, path, size, force)
	if err != nil {
		return nil, err
	}
	defer r.Discard() //nolint:errcheck // the first error counts
	bar := sink.Start(label, int64(len(types)))
	defer bar.Stop()
	err = quantproc.Run(ctx, z.engine, quantproc.Request{In: f.Paths()[0], Out: r.Path, Params: z.params(m)}, func(i, _ int, name string) {
		bar.Set(int64(i-1), name)
	})
	if err != nil {
		return nil, z.explain(err)
	}
	pending, err := r.Finish()
	if err != nil {
		return nil, err
	}
	if err := sameTypes(pending.Path(), types); err != nil {
		pending.Discard() //nolint:errcheck // the first error counts
		return nil, err
	}
	return pending, nil
}

// sameTypes makes sure that the file holds the tensors that it should.
func sameTypes(path string, types map[string]gguf.Type) error {
	f, err := gguf.Open(path)
	if err != nil {
		return fmt.Errorf("what llama.cpp's quantiser wrote cannot be read: %w", err)
	}
	defer f.Close()
	if len(f.Tensors()) != len(types) {
		return fmt.Errorf("llama.cpp's quantiser wrote %d of %d tensors", len(f.Tensors()), len(types))
	}
	for _, t := range f.Tensors() {
		if t.Type != types[t.Name] {
			return fmt.Errorf("llama.cpp's quantiser made %s of %s where it had chosen %s", t.Type.Name(), t.Name, types[t.Name].Name())
		}
	}
	return nil
}

// explain adds the next step to errors of the quantiser that have none.
func (z *Quantizer) explain(err error) error {
	var e *engine.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Code == engine.BadInput:
		return fmt.Errorf("--tensor-type: %s; give one such as attn_v=q6_K", e.Text)
	case e.Code != engine.LoadFailed:
		return err
	case strings.Contains(e.Text, "basic_ios::clear") || strings.Contains(e.Text, "iostream error"):
		return fmt.Errorf("the quantised file could not be written: %s; is the disk full?", e.Text)
	case strings.Contains(e.Text, "has invalid data"): // of the source; "quantized data validation failed" is of the result
		return fmt.Errorf("the model is damaged, llama.cpp finds values that are no numbers (NaN or infinity): %s; download or convert it again", e.Text)
	default:
		return fmt.Errorf("llama.cpp cannot quantise this to %s: %s; give another type", z.Params.Type.Name, e.Text)
	}
}
