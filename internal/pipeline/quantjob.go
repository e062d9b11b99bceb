package pipeline

import (
	"context"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/outfile"
)

// QuantizeJob is what the command quantize is asked to do.
type QuantizeJob struct {
	In, Out  string
	Quantize Quantization
	Force    bool
}

// QuantizeOutcome is a quantised file.
type QuantizeOutcome struct {
	gguf.Written
	Before  int64 // bytes of the source
	Params  uint64
	Tensors map[string]int // how many of each type
	IMatrix string         // where the importance matrix was written, "" for nowhere
}

// Quantize writes In to Out with llama.cpp's quantiser: the tensors are llama-quantize's. On an error no file is left.
func Quantize(ctx context.Context, j QuantizeJob, rep Reporter) (*QuantizeOutcome, error) {
	f, err := openFile(j.In)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	inputs := f.Paths()
	if j.Quantize.IMatrix != "" {
		inputs = append(inputs, j.Quantize.IMatrix)
	}
	if err := outfile.Check(j.Out, j.Force, inputs...); err != nil {
		return nil, err
	}
	if err := j.Quantize.checkOutputs(j.Force, []string{j.Out}, inputs); err != nil {
		return nil, err
	}
	z, err := j.Quantize.prepare(ctx, f, layers(f))
	if err != nil {
		return nil, err
	}
	file, err := z.run(ctx, f, z.matrix, j.Out, j.Force, "quantise", rep)
	if err != nil {
		return nil, err
	}
	defer file.Discard() //nolint:errcheck // the first error counts
	out := &QuantizeOutcome{Before: f.Bytes(), Params: f.Params(), IMatrix: j.Quantize.IMatrixOut, Tensors: map[string]int{}}
	if err := out.count(file.Path()); err != nil {
		return nil, err
	}
	var matrix *pendingMatrix
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
	return out, matrix.commit()
}

// count counts the tensors of each type.
func (o *QuantizeOutcome) count(path string) error {
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
