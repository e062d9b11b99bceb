package fit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

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
	// Kept says of FFNs that lose channels which ones each keeps, where that was chosen before; then Widths need not name them.
	Kept   map[blockmask.Block]blockmask.Indices
	Method Method
	// Fit and Held are batches of sequences of one length in each batch; Held is what choices are made on.
	Fit, Held [][]engine.Sequence
	// Compared is Held with what the whole model predicts there, to measure a divergence from it; nil: that is not wanted.
	Compared [][]engine.Sequence
	HeldOf   []int                       // which kind of text each sequence of Held is of; nil: that is not wanted
	Memory   int64                       // bytes that an FFN may take to choose its channels: see [CutBytes]. With less, they are chosen by their norms; 0: no bound
	Trial    bool                        // the model is left as it was, and only the losses are wanted
	Judge    func(context.Context) error // is called while the loaded model has all of the fit's weights; nil: it is not
	Spent    *time.Duration              // what choosing channels and solving takes is added to it, where the model does not run; nil: that is not wanted
	Progress func(done, total int, block blockmask.Block)
	Log      Log // what is done already; nil: nothing, and nothing is kept
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
	Weights   map[string][]byte // the new tensors by name, as files hold them; narrowed ones as the loaded model does
	Positions int               // of the fit and the held part
	NLLBefore float64           // mean on the held part, nats
	NLLAfter  float64
	KLD       float64                      // mean divergence from the whole model on the held part, nats; 0 where it was not asked for
	Kinds     []KindLoss                   // of the held part, by the numbers of HeldOf
	Narrowed  map[blockmask.Block]Narrowed // FFNs that lost channels
	Undone    bool                         // it did not lower the held part's NLL, so nothing is changed
}

// KindLoss is what one kind of text loses: mean NLLs in nats.
type KindLoss struct{ Before, After float64 }

// Narrowed is what became of the output projection of an FFN that kept some of its channels. The loaded model has zeros in the columns
// of the others.
type Narrowed struct {
	Tensor string            `json:"tensor"`
	Kept   blockmask.Indices `json:"kept"`
	Data   []byte            `json:"-"` // as a file holds it: Out rows of as many weights as are kept, in the tensor's type
}

// narrow adds what became of an FFN that lost channels.
func (r *Result) narrow(b blockmask.Block, n Narrowed) {
	if r.Narrowed == nil {
		r.Narrowed = map[blockmask.Block]Narrowed{}
	}
	r.Narrowed[b] = n
}

// ErrNothing says that no block can be repaired.
var ErrNothing = errors.New("nothing to repair")

// batch is one batch on its way through the model.
type batch struct {
	seqs     []engine.Sequence
	compared []engine.Sequence // of a held one: seqs, whose losses are divergences; nil: not wanted
	held     bool
	dense    []float32 // the unpruned stream
	pruned   []float32
	next     []float32 // of a held batch: the pruned stream behind the block that is being fitted, as the model is now; nil: unknown
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

// cutting reports whether FFNs lose channels.
func (s *state) cutting() bool { return len(s.Widths)+len(s.Kept) > 0 }

// narrows reports whether a block loses channels.
func (s *state) narrows(b blockmask.Block) bool { return s.width(b) > 0 }

// width is how many channels of its FFN a block that loses some keeps; 0: it loses none.
func (s *state) width(b blockmask.Block) int {
	if kept, ok := s.Kept[b]; ok {
		return kept.Len()
	}
	return s.Widths[b]
}

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

// Notes remember values by name across runs. A journal.Journal does, in a file.
type Notes interface {
	Note(name string) json.RawMessage // nil: there is none
	SetNote(name string, value any) error
}

// Log remembers what a repair is done with, so that one that was interrupted goes on where it was, with the same outcome.
type Log interface {
	Notes
	// Weights returns what KeepWeights was given under a name, nil if that is not there or damaged. Names are those of tensors, or these
	// with a word in front.
	Weights(name string) ([]byte, error)
	KeepWeights(name string, data []byte) error
}

// matrix is the e-th matrix of a part, (Out, In).
func (p *part) matrix(e int) []float32 { return p.Weights[e*p.Out*p.In : (e+1)*p.Out*p.In] }
