package engine

import "context"

// Quantizer is llama.cpp's quantiser: the tensors that it writes are llama-quantize's.
type Quantizer interface {
	// FileTypes are the types that llama-quantize knows, in its order, without its aliases Q3_K, Q4_K and Q5_K.
	FileTypes() []FileType
	// ParseFileType reads a type as llama-quantize does: its name in upper or lower case, or its number.
	ParseFileType(s string) (FileType, error)
	// TensorType is the ggml_type to quantise to with a name such as "q6_K", in upper or lower case; false if there is none.
	TensorType(name string) (uint32, bool)

	// Quantize writes the model at in to the file out. progress, which may be nil, is called before tensor i of n, from 1.
	// When ctx ends, it stops before the next tensor. What was written of out stays after an error. An assertion that fails
	// in a thread of the quantiser ends the process: package internal/quantproc runs it in one of its own.
	Quantize(ctx context.Context, in, out string, p QuantizeParams, progress func(i, n int, name string)) error
	// QuantizePlan returns what Quantize would make of each tensor, without doing it. It takes no account of what IMatrix
	// lacks; see NeedsIMatrix.
	QuantizePlan(ctx context.Context, in string, p QuantizeParams) ([]QuantizedTensor, error)
	// NeedsIMatrix reports whether llama.cpp refuses to give a tensor this type, in a file of type ft, without an importance
	// matrix.
	NeedsIMatrix(t QuantizedTensor, ft FileType) bool
}

// FileType is what a model is quantised to, a llama_ftype: a mixture of tensor types.
type FileType struct {
	Name string // as llama-quantize spells it, e.g. "Q4_K_M"
	ID   int    // llama_ftype, general.file_type
}

// TensorRule gives the tensors whose names a regular expression (C++'s, ECMAScript) is found in a type, as --tensor-type.
type TensorRule struct {
	Pattern string
	Type    uint32 // ggml_type
}

// QuantizeParams are llama-quantize's options. The zero value of a field is its default, but Type must be given.
type QuantizeParams struct {
	Type            FileType
	Threads         int  // 0: all of the machine's
	AllowRequantize bool // quantise what is quantised
	LeaveOutput     bool // leave output.weight as it is
	Pure            bool // one type for all, no mixture
	OutputType      *uint32
	EmbeddingType   *uint32
	TensorTypes     []TensorRule

	// IMatrix holds the importance of each tensor's columns (of a 3D tensor, of each matrix's), by the tensor's name.
	IMatrix  map[string][]float32
	Metadata []QuantizeKV // added to the file's
}

// QuantizeKV is a key of the metadata with a text, which llama.cpp cuts at 127 bytes, or if that is empty with a number.
type QuantizeKV struct {
	Key, Text string
	Number    uint32
}

// QuantizedTensor says what a tensor becomes.
type QuantizedTensor struct {
	Name    string
	Type    uint32 // ggml_type
	Changed bool   // false: it stays as it is, and Type is 0
}
