package write

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Noise is how far a quantised model's log-probabilities are from those of the model that it was made from, on the check's positions.
type Noise struct {
	NMSE       float64
	KLD        float64 // mean over the positions, in nats
	MaxAbsDiff float64 // nats
}

// Quantized is what came of quantising the pruned file.
type Quantized struct {
	Type   engine.FileType
	Before int64 // bytes of the file before

	// The check, nil without one: the noise on the pruned model, and on the whole one.
	Pruned, Whole *Noise
	Most          float64             // how many times the latter the former may be
	PPL           perplexity.Estimate // of the quantised file
}

// What rounding alone may do, for types that lose next to nothing.
const (
	leastNMSE = 1e-6
	leastKLD  = 1e-5
)

// matrixRows is how many rows of a tensor are decoded at once.
const matrixRows = 8192

// maxNoise is how many times the quantiser's noise on the whole model its noise on a pruned one may be, of which removed of blocks
// are gone. With fewer layers the noise of each weighs more: docs/RATIONALE.md has the measurements, of which this is twice.
func maxNoise(removed, blocks int) float64 {
	return 2 * float64(blocks) / float64(max(1, blocks-removed))
}

// quantizing is what the quantised file is made and checked with.
type quantizing struct {
	probe         *probe // nil: no check
	masked, whole reading
	plain         *gguf.Pending // the file before
	most          float64       // of the noise
	out           *Result
}

// writeQuantized quantises the written file and checks that its noise is the quantiser's.
func (w *Writer) writeQuantized(ctx context.Context, path string, force bool, z quantizing, sink progress.Sink) (*gguf.Pending, error) {
	if z.probe != nil && w.noise == nil {
		noise, err := w.measureNoise(ctx, path, force, z, sink)
		if err != nil {
			return nil, err
		}
		w.noise = &noise
	}
	f, err := gguf.Open(z.plain.Path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := w.Quantizer.Run(ctx, f, w.Quantizer.MatrixFor(z.out.Layout), path, force, "quantise", sink)
	if err != nil {
		return nil, err
	}
	if file, err = w.smallZeros(ctx, path, force, z.out.Layout, file); err != nil {
		return nil, err
	}
	z.out.Quantized = &Quantized{Type: w.Quantizer.Params.Type, Before: f.Bytes()}
	if z.probe == nil {
		return file, nil
	}
	if err := w.checkQuantized(ctx, path, file, z, sink); err != nil {
		file.Discard() //nolint:errcheck // the first error counts
		return nil, err
	}
	return file, nil
}

// measureNoise quantises the whole model as the pruned one will be, and compares it with the original.
func (w *Writer) measureNoise(ctx context.Context, path string, force bool, z quantizing, sink progress.Sink) (Noise, error) {
	file, err := w.Quantizer.Run(ctx, w.Source.File, w.Quantizer.Matrix(), path, force, "quantise the whole model, to know the noise", sink)
	if err != nil {
		return Noise{}, err
	}
	defer file.Discard() //nolint:errcheck // it is a temporary file
	noise, _, differs, err := w.noiseOf(ctx, file.Path(), z.probe.withoutPPL(), z.whole, "measure the noise on the whole model", sink)
	if differs != "" {
		err = fmt.Errorf("the whole model, quantised to %s, cannot be compared with: %s; choose another type", w.Quantizer.Params.Type.Name, differs)
	}
	return noise, err
}

// noiseOf compares the file at path with a reading of what it was quantised from.
func (w *Writer) noiseOf(ctx context.Context, path string, p *probe, want reading, label string, sink progress.Sink) (Noise, perplexity.Estimate, string, error) {
	bar := sink.Start(label, 1000)
	defer bar.Stop()
	c, r := rowDiff{divergence: true}, w.Source.Spec
	ppl, differs, err := p.measure(ctx, r, path, want, &c, bar)
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.BadInput && !r.Model.NoRepack {
		// Repacked kernels, which F16 weights do not get, cannot run several sequences of some models at once.
		c, r.Model.NoRepack = rowDiff{divergence: true}, true
		ppl, differs, err = p.measure(ctx, r, path, want, &c, bar)
	}
	switch {
	case err != nil || differs != "":
	case c.rows != len(want.rows) || c.rows == 0:
		differs = fmt.Sprintf("it gave %d of %d positions", c.rows, len(want.rows))
	case c.notFiniteFirst != "":
		differs = "log-probabilities are not finite, first at " + c.notFiniteFirst
	}
	if err != nil || differs != "" {
		return Noise{}, ppl, differs, err
	}
	return Noise{NMSE: c.nmse(), KLD: c.sumKL / float64(c.rows), MaxAbsDiff: c.maxAbs}, ppl, "", nil
}

// checkQuantized is the check of a quantised file: its noise against the masked original may be a multiple of the quantiser's.
func (w *Writer) checkQuantized(ctx context.Context, path string, file *gguf.Pending, z quantizing, sink progress.Sink) error {
	noise, ppl, differs, err := w.noiseOf(ctx, file.Path(), z.probe, z.masked, "check the quantised file", sink)
	if err != nil {
		return err
	}
	if differs == "" {
		differs = noise.exceeds(*w.noise, z.most)
	}
	if differs != "" {
		return &CheckError{
			Path: path, Text: "quantised to " + z.out.Quantized.Type.Name + ", " + differs, Check: *z.out.Check,
			Hint: "without --quantize it passed; try a larger type, or fewer blocks",
		}
	}
	done := z.out.Quantized
	done.Pruned, done.Whole, done.Most, done.PPL = &noise, w.noise, z.most, ppl
	return nil
}

// exceeds says where n is more than most times the noise on the whole model; "" if it is not.
func (n Noise) exceeds(whole Noise, most float64) string {
	for _, c := range []struct {
		name              string
		have, usual, most float64
	}{
		{"NMSE", n.NMSE, whole.NMSE, max(most*whole.NMSE, leastNMSE)},
		{"KL divergence", n.KLD, whole.KLD, max(most*whole.KLD, leastKLD)},
	} {
		if !(c.have <= c.most) {
			return fmt.Sprintf("its log-probabilities have a noise of %s %.3g, where quantising the whole model gives %.3g, of which x%.1f is allowed", c.name, c.have, c.usual, most)
		}
	}
	return ""
}

// smallZeros gives the matrices of zeros of a layout that has whole ones the smallest type again: llama.cpp's quantiser makes them as
// large as any other. The rest of the file stays as it wrote it.
func (w *Writer) smallZeros(ctx context.Context, path string, force bool, res *layout.Result, file *gguf.Pending) (*gguf.Pending, error) {
	zeros := map[string]bool{}
	for _, t := range res.Plan.Tensors {
		if res.Kind == layout.Zeros && gguf.IsZeros(t.Data) && len(t.Dims) > 1 {
			zeros[t.Name] = true
		}
	}
	if len(zeros) == 0 {
		return file, nil
	}
	defer file.Discard() //nolint:errcheck // what counts is the new file
	f, err := gguf.Open(file.Path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &gguf.Plan{KVs: f.KVs()}
	for _, t := range f.Tensors() {
		out := gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)}
		if zeros[t.Name] {
			if err := decodesToZero(w.Source.Spec.Engine, f, t); err != nil {
				return nil, err
			}
			out.Type = layout.ZeroType(t)
			out.Data = gguf.Zeros(out.Type.RowBytes(t.Dims[0]) * t.Rows())
		}
		p.Tensors = append(p.Tensors, out)
	}
	return gguf.WriteTemp(ctx, path, p, gguf.WriteOptions{Force: force})
}

// decodesToZero makes sure that the quantiser left zeros alone.
func decodesToZero(c engine.Codec, f *gguf.File, t gguf.Tensor) error {
	r, rowBytes := f.Data(t), t.Type.RowBytes(t.Dims[0])
	for left := t.Rows(); left > 0; {
		n := min(left, matrixRows)
		data, weights := make([]byte, n*rowBytes), make([]float32, n*int64(t.Dims[0]))
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("read tensor %s: %w", t.Name, err)
		}
		if err := c.ToFloat(uint32(t.Type), data, weights); err != nil {
			return err
		}
		for _, w := range weights {
			if w != 0 {
				return fmt.Errorf("llama.cpp's quantiser made %v of a zero in %s; choose another type", w, t.Name)
			}
		}
		left -= n
	}
	return nil
}
