package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/search"
)

// quantFlags say how a file is quantised. Names and meanings are llama-quantize's, --imatrix-out is ours.
type quantFlags struct {
	imatrix, imatrixOut           string
	outputType, embeddingType     string
	tensorTypes                   []string
	requantize, leaveOutput, pure bool
}

const quantOptionsUsage = `      --imatrix FILE       importance matrix of the model that is read, as llama-imatrix writes it, old format or new
      --imatrix-out FILE   write the one of the file that is written, for llama-quantize
      --allow-requantize   quantise tensors that are quantised already, which costs quality
      --leave-output-tensor       leave output.weight as it is
      --pure                      one type for all tensors, no mixture
      --output-tensor-type TYPE   tensor type of output.weight, such as q6_K
      --token-embedding-type TYPE tensor type of the token embeddings
      --tensor-type NAME=TYPE     tensor type of tensors whose name has NAME in it, a regular expression; several times
`

const quantUsage = `
Quantising, as in llama-quantize, after the check:
      --quantize TYPE      quantise the pruned file: Q4_K_M, Q5_K_M, Q8_0, IQ3_M ...; it is checked again, by its noise
` + quantOptionsUsage

// quantizeFlags are those of commands for which quantising is the last step.
type quantizeFlags struct {
	quantFlags
	typ string
}

func (q *quantizeFlags) add(fs *pflag.FlagSet) {
	q.quantFlags.add(fs)
	fs.StringVar(&q.typ, "quantize", "", "")
}

// fill checks the flags and puts them into the job; goals are what it is to reach.
func (q *quantizeFlags) fill(fs *pflag.FlagSet, j *pipeline.Job, goals ...search.Goal) (err error) {
	if j.Quantize, err = q.quantization(fs, q.typ, j.Runtime.Threads); err != nil {
		return err
	}
	for _, g := range goals {
		if g.Size > 0 && q.typ != "" {
			return usagef("--target-size is the size before --quantize, so they do not go together; give --ratio or --blocks")
		}
	}
	return nil
}

func (q *quantFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&q.imatrix, "imatrix", "", "")
	fs.StringVar(&q.imatrixOut, "imatrix-out", "", "")
	fs.BoolVar(&q.requantize, "allow-requantize", false, "")
	fs.BoolVar(&q.leaveOutput, "leave-output-tensor", false, "")
	fs.BoolVar(&q.pure, "pure", false, "")
	fs.StringVar(&q.outputType, "output-tensor-type", "", "")
	fs.StringVar(&q.embeddingType, "token-embedding-type", "", "")
	fs.StringArrayVar(&q.tensorTypes, "tensor-type", nil, "")
}

// quantization checks the flags; typ is the type's name, "" for none.
func (q *quantFlags) quantization(fs *pflag.FlagSet, typ string, threads int) (z pipeline.Quantization, err error) {
	z = pipeline.Quantization{IMatrix: q.imatrix, IMatrixOut: q.imatrixOut}
	if q.imatrixOut != "" && q.imatrix == "" {
		return z, usagef("--imatrix-out needs the source's importance matrix; give it with --imatrix")
	}
	if typ == "" {
		return z, q.withoutType(fs)
	}
	p := &z.Params
	if p.Type, err = llamabind.ParseFileType(typ); err != nil {
		return z, usagef("%v", err)
	}
	p.Threads, p.AllowRequantize, p.LeaveOutput, p.Pure = threads, q.requantize, q.leaveOutput, q.pure
	if p.OutputType, err = tensorType("output-tensor-type", q.outputType); err != nil {
		return z, err
	}
	if p.EmbeddingType, err = tensorType("token-embedding-type", q.embeddingType); err != nil {
		return z, err
	}
	for _, rule := range q.tensorTypes {
		i := strings.LastIndexByte(rule, '=')
		if i < 1 {
			return z, usagef("--tensor-type is %q; give NAME=TYPE, such as attn_v=q6_K", rule)
		}
		t, err := tensorType("tensor-type", rule[i+1:])
		if err != nil || t == nil {
			return z, usagef("--tensor-type is %q, and %q is no tensor type; give one such as q6_K", rule, rule[i+1:])
		}
		p.TensorTypes = append(p.TensorTypes, engine.TensorRule{Pattern: strings.ToLower(rule[:i]), Type: *t})
	}
	return z, nil
}

// withoutType refuses flags that would do nothing.
func (q *quantFlags) withoutType(fs *pflag.FlagSet) error {
	for _, name := range []string{
		"allow-requantize", "leave-output-tensor", "pure", "output-tensor-type", "token-embedding-type", "tensor-type",
	} {
		if fs.Changed(name) {
			return usagef("--%s says how to quantise, and nothing is quantised; add --quantize TYPE", name)
		}
	}
	if q.imatrix != "" && q.imatrixOut == "" {
		return usagef("--imatrix is used for nothing; add --quantize TYPE, or --imatrix-out FILE for the one of the pruned model")
	}
	return nil
}

// tensorType reads the value of a flag; "" is nil.
func tensorType(flag, name string) (*uint32, error) {
	if name == "" {
		return nil, nil
	}
	t, ok := llamabind.TensorType(name)
	if !ok {
		return nil, usagef("--%s is %q; give a tensor type such as q6_K, q8_0 or f16", flag, name)
	}
	return &t, nil
}
