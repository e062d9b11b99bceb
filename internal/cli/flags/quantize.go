package flags

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/search"
)

// Quantize says whether and how a file is quantised. Names and meanings are llama-quantize's, --imatrix-out is ours.
type Quantize struct {
	Engine engine.Quantizer
	Last   bool // quantising is the last step of a command that prunes, and done if --quantize names a type

	Type       string // of --quantize, "" for none
	IMatrixOut string

	imatrix                       string
	outputType, embeddingType     string
	tensorTypes                   []string
	requantize, leaveOutput, pure bool
	fs                            *pflag.FlagSet
}

// AddFlags adds the flags.
func (q *Quantize) AddFlags(fs *pflag.FlagSet) {
	q.fs = fs
	heading := "How"
	if q.Last {
		heading = "Quantising, as in llama-quantize, after the check"
	}
	Section(fs, heading, func(fs *pflag.FlagSet) {
		if q.Last {
			fs.StringVar(&q.Type, "quantize", "", "`TYPE` quantise the pruned file: Q4_K_M, Q5_K_M, Q8_0, IQ3_M ...; it is checked again, by its noise")
			nameOf(fs, "quantize", fileTypes)
		}
		fs.StringVar(&q.imatrix, "imatrix", "", "`FILE` importance matrix of the model that is read, as llama-imatrix writes it, old format or new")
		fs.StringVar(&q.IMatrixOut, "imatrix-out", "", "`FILE` write the one of the file that is written, for llama-quantize")
		fs.BoolVar(&q.requantize, "allow-requantize", false, "quantise tensors that are quantised already, which costs quality")
		fs.BoolVar(&q.leaveOutput, "leave-output-tensor", false, "leave output.weight as it is")
		fs.BoolVar(&q.pure, "pure", false, "one type for all tensors, no mixture")
		fs.StringVar(&q.outputType, "output-tensor-type", "", "`TYPE` tensor type of output.weight, such as q6_K")
		fs.StringVar(&q.embeddingType, "token-embedding-type", "", "`TYPE` tensor type of the token embeddings")
		fs.StringArrayVar(&q.tensorTypes, "tensor-type", nil, "`NAME=TYPE` tensor type of tensors whose name has NAME in it, a regular expression; several times")
	})
}

// Resolve checks the flags. typ is the type's name, "" for none; threads is how many quantise; goals are what the file is to reach.
func (q *Quantize) Resolve(typ string, threads int, goals ...search.Goal) (quantize.Options, error) {
	z, err := q.quantization(typ, threads)
	if err != nil {
		return z, err
	}
	for _, g := range goals {
		if g.Size > 0 && typ != "" {
			return z, Errorf("--target-size is the size before --quantize, so they do not go together; give --ratio or --blocks")
		}
	}
	return z, nil
}

// quantization checks all but the goals.
func (q *Quantize) quantization(typ string, threads int) (z quantize.Options, err error) {
	z = quantize.Options{IMatrix: q.imatrix, IMatrixOut: q.IMatrixOut}
	if q.IMatrixOut != "" && q.imatrix == "" {
		return z, Errorf("--imatrix-out needs the source's importance matrix; give it with --imatrix")
	}
	if typ == "" {
		return z, q.withoutType()
	}
	p := &z.Params
	if p.Type, err = q.Engine.ParseFileType(typ); err != nil {
		return z, Errorf("%v", err)
	}
	p.Threads, p.AllowRequantize, p.LeaveOutput, p.Pure = threads, q.requantize, q.leaveOutput, q.pure
	if p.OutputType, err = q.tensorType("output-tensor-type", q.outputType); err != nil {
		return z, err
	}
	if p.EmbeddingType, err = q.tensorType("token-embedding-type", q.embeddingType); err != nil {
		return z, err
	}
	for _, rule := range q.tensorTypes {
		i := strings.LastIndexByte(rule, '=')
		if i < 1 {
			return z, Errorf("--tensor-type is %q; give NAME=TYPE, such as attn_v=q6_K", rule)
		}
		t, err := q.tensorType("tensor-type", rule[i+1:])
		if err != nil || t == nil {
			return z, Errorf("--tensor-type is %q, and %q is no tensor type; give one such as q6_K", rule, rule[i+1:])
		}
		p.TensorTypes = append(p.TensorTypes, engine.TensorRule{Pattern: strings.ToLower(rule[:i]), Type: *t})
	}
	return z, nil
}

// withoutType refuses flags that would do nothing.
func (q *Quantize) withoutType() error {
	for _, name := range []string{
		"allow-requantize", "leave-output-tensor", "pure", "output-tensor-type", "token-embedding-type", "tensor-type",
	} {
		if q.fs.Changed(name) {
			return Errorf("--%s says how to quantise, and nothing is quantised; add --quantize TYPE", name)
		}
	}
	if q.imatrix != "" && q.IMatrixOut == "" {
		return Errorf("--imatrix is used for nothing; add --quantize TYPE, or --imatrix-out FILE for the one of the pruned model")
	}
	return nil
}

// tensorType reads the value of a flag; "" is nil.
func (q *Quantize) tensorType(flag, name string) (*uint32, error) {
	if name == "" {
		return nil, nil
	}
	t, ok := q.Engine.TensorType(name)
	if !ok {
		return nil, Errorf("--%s is %q; give a tensor type such as q6_K, q8_0 or f16", flag, name)
	}
	return &t, nil
}
