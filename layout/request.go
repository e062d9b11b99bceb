package layout

import (
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// Kind names a layout.
type Kind string

// The layouts; see the package comment. Auto is a request only, never a result.
const (
	Native Kind = "native"
	Deci   Kind = "deci"
	Zeros  Kind = "zeros"
	Auto   Kind = "auto"
)

// Request asks for the model in Source without what Removed takes away: blocks, and channels of FFNs. A quantised ffn_down that loses
// channels must be in Changed.
type Request struct {
	Source     *gguf.File
	Blocks     []Block // all blocks of the model, front to back, as the engine found them
	Removed    blockmask.Mask
	Kind       Kind // "" is Auto
	Provenance Provenance

	// Changed are new contents of tensors of Source by name: what a fit changed. They have the tensor's shape, an ffn_down of which
	// Removed keeps some channels that many columns, in their order; and the tensor's type, or the one that Types has for it.
	Changed map[string][]byte
	Types   map[string]gguf.Type

	outline bool // new contents that the file needs may be missing: see Outline
}

// Block is a block with the names of the tensors that it alone uses. Norms may be missing from Weights; they are told by
// their names.
type Block struct {
	blockmask.Block
	Weights []string
}

// Result is the plan of the file and what is to be known of it.
type Result struct {
	Kind     Kind
	Plan     *gguf.Plan
	Exact    bool     // the file computes the same bits as the masked original on the same backend
	Warnings []string // for the user, one sentence each
	// Layers says for each layer of the file, front to back, which layers of the source its halves come from; -1 where a half
	// is absent or zero. Layers of a multi-token-prediction head are not among them.
	Layers []blockmask.Layer
	// Columns are those that matrices of the source keep in the file, ascending, by the source's names; a matrix that keeps all is not here.
	// What belongs to a matrix's columns, such as importances, follows them.
	Columns       map[string][]int64
	ParamsRemoved uint64 // weights in the removed blocks and channels
	ParamsTotal   uint64 // weights in the source

	// Params is what [gguf.File.Params] will be of the file: more than ParamsTotal - ParamsRemoved where the layout needs stubs or zeros.
	Params uint64
}

// Gone is the part of the source's parameters that the file does without.
func (r *Result) Gone() float64 { return 1 - float64(r.Params)/float64(r.ParamsTotal) }

// Provenance says where a pruned file comes from; it ends up in its metadata.
type Provenance struct {
	SourceSHA256 string
	Metric       string            // what the scores are, e.g. "perplexity"
	Calibration  string            // what they were measured on
	Tool         string            // this tool with its version
	LlamaCpp     string            // the llama.cpp that measured
	Removed      []blockmask.Block // in the order of removal; nil: in the mask's order
	BaseScore    float64           // of the whole model
	Scores       []float64         // after each of Removed
	Repair       *RepairRecord     // nil: nothing was repaired
}

// RepairRecord says what a repair changed.
type RepairRecord struct {
	Tensors     []string  // the changed tensors, by their names in the source
	Methods     []string  // of each: full or map
	Lambdas     []float64 // of each
	Types       []string  // of each, such as Q6_K, where types were raised; nil: each has its own
	Calibration string
	Positions   int     // tokens that it was fitted on and chosen by
	NLLBefore   float64 // mean on the part that it was chosen by, nats
	NLLAfter    float64
}

// RefusedError says that no exact layout of the kind asked for exists.
type RefusedError struct {
	Layout Kind
	Arch   string
	Reason string // a clause: "partial layers remain (ffn:3)"
	Hint   string // what to do instead; may be empty
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("layout %s is impossible for this %s model and mask: %s", e.Layout, e.Arch, e.Reason)
	if e.Layout == Auto {
		s = fmt.Sprintf("no exact layout exists for this %s model and mask: %s", e.Arch, e.Reason)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}
