package fit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Method says what is fitted.
type Method string

// The methods; see the package comment. Auto is Full where the solve is affordable, else Map.
const (
	Auto Method = "auto"
	Full Method = "full"
	Map  Method = "map"
	Off  Method = "off"
)

// ParseMethod reads a method's name; "" is Auto.
func ParseMethod(s string) (Method, error) {
	m := Method(s)
	if s == "" {
		m = Auto
	}
	if !slices.Contains([]Method{Auto, Full, Map, Off}, m) {
		return "", fmt.Errorf("unknown repair %q; use auto, full, map or off", s)
	}
	return m, nil
}

// Request asks for a repair.
type Request struct {
	Removed blockmask.Mask
	Widths  map[blockmask.Block]int // FFNs that lose channels: how many each keeps
	Method  Method
	// Fit and Held are batches of sequences of one length in each batch; Held is what choices are made on.
	Fit, Held [][]engine.Sequence
	Progress  func(done, total int, block blockmask.Block)
	Log       Log // what is done already; nil: nothing, and nothing is kept
}

// Block says what became of an output projection of a block. A block of experts may have two.
type Block struct {
	Block   blockmask.Block `json:"block"`
	Tensor  string          `json:"tensor"`  // "" if there is none
	Skipped string          `json:"skipped"` // why it was left alone; "" if it was repaired
	Method  Method          `json:"method"`
	Lambda  float64         `json:"lambda"`
	Before  jsonnum.Float   `json:"before"` // mean square of the relative distance to the unpruned stream on the held part, without this block's repair
	After   jsonnum.Float   `json:"after"`  // and with it, as encoded
}

// Result is a repair.
type Result struct {
	Blocks    []Block
	Weights   map[string][]byte // the new tensors by name, as files hold them
	Positions int               // of the fit and the held part
	NLLBefore float64           // mean on the held part, nats
	NLLAfter  float64
	Narrowed  map[blockmask.Block]Narrowed // FFNs that lost channels
	Undone    bool                         // it did not lower the held part's NLL, so nothing is changed
}

// Narrowed is what became of the output projection of an FFN that kept some of its channels. The loaded model has zeros in the columns
// of the others.
type Narrowed struct {
	Tensor string
	Kept   blockmask.Indices
	Data   []byte // as a file holds it: Out rows of as many weights as are kept, in the tensor's type
}

// ErrNothing says that no block can be repaired.
var ErrNothing = errors.New("nothing to repair")

// batch is one batch on its way through the model.
type batch struct {
	seqs   []engine.Sequence
	held   bool
	dense  []float32 // the unpruned stream
	pruned []float32
	next   []float32 // of a held batch: the pruned stream behind the block that is being fitted, as the model is now; nil: unknown
}

func (b *batch) positions() int { return len(b.seqs) * len(b.seqs[0].Tokens) }

// state is a repair under way.
type state struct {
	Request
	e       engine.BlockRunner
	w       Weights
	batches []*batch
	waiting []*part        // of a block that the next one runs beside
	alone   blockmask.Mask // the block that is fitted, where another one is added together with it and stays as it is; nil: none is
	res     *Result
	norms   bool // projections with a norm behind them are fitted, too
}

// narrows reports whether a block loses channels.
func (s *state) narrows(b blockmask.Block) bool { return s.Widths[b] > 0 }

// part is an output projection of a block, and what is collected about it.
type part struct {
	*Projection
	block  blockmask.Block
	power  []float64 // (matrices, In) sums of squares of what comes in, from all positions
	rows   []int     // (matrices) how many
	out    Block
	norm   []float32 // the weight of the norm behind it; nil: none
	turned []float32 // (In, Out) the weights, where a norm asks for their products
}

func newPart(b blockmask.Block, p *Projection) *part {
	return &part{
		Projection: p, block: b, out: Block{Block: b, Tensor: p.Name},
		power: make([]float64, p.matrices()*p.In), rows: make([]int, p.matrices()),
	}
}

func (p *part) fitted() bool { return p.out.Method != "" }

// left says why a part was left alone, unless it was fitted.
func (p *part) left(reason string) {
	if !p.fitted() {
		p.out.Skipped = reason
	}
}
