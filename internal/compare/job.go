package compare

import (
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// Job asks how models differ from a reference: in what they predict, in size and in speed.
type Job struct {
	Spec   source.Spec // how all of them run; Path is not used
	Models []Contender // the first one is the reference
	Text   corpus.Text // windows
	UBatch int         // tokens of one graph, of which llama.cpp makes a batch

	BaseLogits string // llama-perplexity's base file: what the reference predicts; then Text is not used
	SaveBase   string // where to keep that of the first model
	Force      bool   // overwrite SaveBase

	Speed *SpeedTest // nil: none
	Rival string     // what the first model is quantised to for comparison: RivalOff, RivalAuto or a type

	RivalFile Contender // a file to be the rival in place of Rival; Path "" is none

	// Nearby lists files on this machine among which may be quantisations of the model at path; nil: none are looked for.
	Nearby func(path string) []modelref.Neighbour

	Subject int // of Models, the one that the rival is set against; 0 is the second one
}

// Contender is one model of a comparison: a file, or what a file would be without some blocks.
type Contender struct {
	Label, Path string

	// Removed are blocks that are left out of the graph of Path; then File says what a file of its own would be, and no speed is measured.
	Removed blockmask.Mask
	File    FileFacts
}

// FileFacts describe a model's file.
type FileFacts struct {
	Arch   string
	Bytes  int64
	Params uint64
}

// Comparison is the answer.
type Comparison struct {
	Text       string
	Context    int // tokens of a window
	Batch      int // tokens of a batch, llama-perplexity's -b
	UBatch     int // tokens of a graph, its -ub
	Windows    int
	Positions  int    // scored
	BaseLogits string // the base file that was read, "" where the first row's model was run
	Speed      *SpeedTest

	Rows    []Row  // the first one is what the others are compared with
	Rival   *Rival // nil where none was asked for
	Verdict string // pruning or quantising, in a sentence; "" without a rival
}

// Row is one model of a comparison.
type Row struct {
	Label  string
	Path   string // "" where it has no file that stays
	Pruned string // Pruned, Repaired, or "" where nothing says that this program pruned it
	Arch   string // "" for a base file
	Type   string // of most of its weights, such as Q8_0
	Bytes  int64
	Params uint64

	PPL kld.Mean
	KL  *kld.Report // nil for the reference

	Speed *Speed // nil where it was not measured
}

// What Row.Pruned may be.
const (
	Pruned   = "pruned"
	Repaired = "pruned + repaired"
)

// Rival is a quantisation of the reference, about as small as the subject: what its user could have instead. Its row is the last.
type Rival struct {
	Type   string // of most of its weights, or what the reference was quantised to; "" where there is none
	Label  string // what it is called
	Path   string // "" where its file is gone
	Bytes  int64
	Origin string // Made, Requantized, Found or Given; "" where there is none
	From   string // of Requantized: the type of the file that it was made from
	Note   string // a sentence that belongs to a verdict on it; "" for none
	Reason string // why there is none
}

// Where a rival is from.
const (
	Made        = "made"        // quantised from the reference, which has lost little yet
	Requantized = "requantized" // quantised from the reference, which was quantised before
	Found       = "found"       // on this machine
	Given       = "given"       // by the user
)

// What [Job].Rival may be, besides a type.
const (
	RivalOff  = "off"
	RivalAuto = "auto"
)

// SpeedTest says how speed is measured, in llama-bench's terms.
type SpeedTest struct {
	Prompt   int           // tokens of a prompt: its pp
	Generate int           // tokens generated: its tg
	Repeats  int           // of each
	Limit    time.Duration // after which the repeats so far, three at least, are enough; 0 is none
}

// Speed is how fast a model runs, and what its context takes.
type Speed struct {
	Prompt, Generate           Rate // tokens per second
	PromptRatio, GenerateRatio Rate // to the reference, whose repeats took turns with this model's; of the reference itself none

	Load    time.Duration // to load the file, which was read just before
	KVPer1k int64         // bytes of memory for each 1024 tokens of context
}

// Rate is a mean over repeats, with their standard deviation, and their median.
type Rate struct {
	Mean, StdDev float64
	Median       float64
	Repeats      int
}
