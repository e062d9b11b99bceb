package quantize

import (
	"context"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Job is what the command quantize is asked to do.
type Job struct {
	Engine  engine.Quantizer
	In, Out string
	Options Options
	Force   bool
}

// Outcome is a quantised file.
type Outcome struct {
	gguf.Written
	Before  int64 // bytes of the source
	Params  uint64
	Tensors map[string]int // how many of each type
	IMatrix string         // where the importance matrix was written, "" for nowhere
}

// Run writes In to Out with llama.cpp's quantiser: the tensors are llama-quantize's. On an error no file is left.
func Run(ctx context.Context, j Job, sink progress.Sink) (*Outcome, error) {
	f, err := source.OpenFile(j.In)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	inputs := f.Paths()
	if j.Options.IMatrix != "" {
		inputs = append(inputs, j.Options.IMatrix)
	}
	if err := outfile.Check(j.Out, j.Force, inputs...); err != nil {
		return nil, err
	}
	if err := j.Options.CheckOutputs(j.Force, []string{j.Out}, inputs); err != nil {
		return nil, err
	}
	z, err := j.Options.Prepare(ctx, j.Engine, f, layers(f))
	if err != nil {
		return nil, err
	}
	file, err := z.Run(ctx, f, z.matrix, j.Out, j.Force, "quantise", sink)
	if err != nil {
		return nil, err
	}
	defer file.Discard() //nolint:errcheck // the first error counts
	out := &Outcome{Before: f.Bytes(), Params: f.Params(), IMatrix: j.Options.IMatrixOut, Tensors: map[string]int{}}
	if err := out.count(file.Path()); err != nil {
		return nil, err
	}
	var matrix *PendingMatrix
	if out.IMatrix != "" {
		dims := map[string][]uint64{}
		for _, t := range f.Tensors() {
			dims[t.Name] = t.Dims
		}
		if matrix, err = writeMatrix(ctx, out.IMatrix, z.matrix, dims, j.Force); err != nil {
			return nil, err
		}
		defer matrix.Discard() //nolint:errcheck // as above
	}
	if out.Written, err = file.Commit(); err != nil {
		return nil, err
	}
	return out, matrix.Commit()
}

// count counts the tensors of each type.
func (o *Outcome) count(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, t := range f.Tensors() {
		o.Tensors[t.Type.Name()]++
	}
	return nil
}

// layers is the number of the model's layers that predict the next token.
func layers(f *gguf.File) int {
	n, _, errN := f.Uint(f.Arch() + ".block_count")
	mtp, _, errM := f.Uint(f.Arch() + ".nextn_predict_layers")
	if errN != nil || errM != nil || mtp > n || n > 1<<16 {
		return 0 // llama.cpp will say what is wrong
	}
	return int(n - mtp)
}
