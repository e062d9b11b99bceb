package plan

import (
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// Plan is the outcome of a search with all that is needed to apply, check and repeat it. The package comment has its file
// format; the fields of the parts below are named as there.
type Plan struct {
	Tool        string // version of this program
	LlamaCpp    string // version of llama.cpp
	Model       Model
	Calibration Calibration
	Metric      string // what scores are: "ppl" or "kld"
	Settings    search.Settings
	Base        float64 // score of the whole model
	Steps       []search.Step

	Audit  *search.Audit   // of strategies that race
	Refine *search.Refined // of the strategy refine

	Shapes []Shape // that were tried where FFNs are narrowed
	Kinds  []Kind  // of the fit's text there
	Tasks  []Task  // that shapes were judged by there, of the whole model and of the fitted one

	HeldOut *HeldOut // nil where nothing was held out

	// Order is the file of the order that the plan was made of (see [DecodeOrder]); "" where a search made it. Such a plan has neither
	// scores nor what they were measured on, and has no file of its own.
	Order string
}

// Model identifies the model that a plan is for.
type Model struct {
	Path   string         `json:"path"`   // as given on the command line; a help for people, not what identifies it
	SHA256 string         `json:"sha256"` // hex, of the file's bytes
	Arch   string         `json:"arch"`
	Params uint64         `json:"params"`
	Size   int64          `json:"size_bytes"`
	Blocks blockmask.Mask `json:"blocks"` // all of them

	// Channels are the widths of the FFNs by layer, 0 where one has none that could go. Plans of whole blocks do not have them.
	Channels []int `json:"ffn_channels,omitempty"`
}

// Calibration identifies what scores were measured on.
type Calibration struct {
	Description  string `json:"description"`
	TokensSHA256 string `json:"tokens_sha256"` // hex, of the token ids: see perplexity.Set.SHA256
	Convention   string `json:"convention"`
	Context      int    `json:"n_ctx"`
	Sequences    int    `json:"sequences"`
	Tokens       int    `json:"tokens"`

	Chat bool      `json:"chat_template,omitempty"` // conversations are in the model's chat template
	Self *SelfText `json:"self,omitempty"`          // the model wrote the text itself
}

// Removed returns the whole blocks that the first k steps remove, in the order in which they go. Parts are in Mask.
func (p *Plan) Removed(k int) []blockmask.Block {
	var blocks []blockmask.Block
	for _, s := range p.Steps[:k] {
		blocks = append(blocks, s.Removed.Blocks()...)
	}
	return blocks
}

// Mask returns the mask of the first k steps.
func (p *Plan) Mask(k int) blockmask.Mask {
	var cuts []blockmask.Cut
	for _, s := range p.Steps[:k] {
		cuts = append(cuts, s.Removed...)
	}
	return blockmask.Of(cuts...)
}

// Width returns how many channels the FFN of a layer has, 0 where the plan does not say it.
func (m *Model) Width(layer int) int {
	if layer >= 0 && layer < len(m.Channels) {
		return m.Channels[layer]
	}
	return 0
}

// Scores returns the score after each of the first k steps.
func (p *Plan) Scores(k int) []float64 {
	scores := make([]float64, k)
	for i, s := range p.Steps[:k] {
		scores[i] = s.Score
	}
	return scores
}

// MismatchError says that a plan was made for another model.
type MismatchError struct {
	Path       string // of the model that the plan was made for
	Plan, Have string // SHA-256 of that model and of the one given
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("this plan was made for another model (%s, SHA-256 %.12s...; this one is %.12s...): use that model or search again",
		e.Path, e.Plan, e.Have)
}

// CheckModel returns a [MismatchError] unless the plan was made for the model with the given SHA-256 (hex), and an
// error if one of its masks names a block that is not among blocks.
func (p *Plan) CheckModel(sha256 string, blocks []blockmask.Block) error {
	if p.Model.SHA256 != sha256 {
		return &MismatchError{Path: p.Model.Path, Plan: p.Model.SHA256, Have: sha256}
	}
	if err := p.Mask(len(p.Steps)).Check(blocks); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// Prefix returns the least number of steps which reach goal. size predicts the bytes of the output; if it is nil, the sizes
// in the plan count. A goal beyond the plan's end is a [search.GoalError].
func (p *Plan) Prefix(goal search.Goal, size func(blockmask.Mask) (int64, error)) (int, error) {
	if err := goal.Validate(); err != nil {
		return 0, err
	}
	switch {
	case p.Order != "" && (goal.OfQuality() || goal.Speedup > 0):
		return 0, goal.Fail("an order has neither scores nor times; give a number of blocks, a ratio or a target size")
	case goal.OfQuality():
		return p.within(goal)
	}
	for k, s := range p.Steps {
		now := search.State{Blocks: len(p.Removed(k + 1)), Ratio: s.Ratio, Size: s.Size, Speedup: s.Speedup}
		if goal.Size > 0 && size != nil {
			n, err := size(p.Mask(k + 1))
			now.Size = n
			if err != nil {
				now.Size = 0
			}
		}
		if goal.Reached(now) {
			return k + 1, nil
		}
	}
	end := "nothing"
	if n := len(p.Steps); n > 0 {
		end = fmt.Sprintf("%d blocks, %.4g of the parameters", len(p.Removed(n)), p.Steps[n-1].Ratio)
		if b := p.Steps[n-1].Size; b > 0 {
			end += fmt.Sprintf(", leaving %d bytes", b)
		}
	}
	if p.Order != "" {
		return 0, goal.Fail("the order %s does not go that far: all of it removes %s", p.Order, end)
	}
	return 0, goal.Fail("this plan does not go that far: its last step removes %s; search again with that goal", end)
}

// within returns the number of steps before the first that leaves a bound of quality.
func (p *Plan) within(goal search.Goal) (int, error) {
	if (goal.MaxKLD != 0) != (p.Metric == "kld") {
		return 0, goal.Fail("this plan's scores are of metric %s, which says nothing about that bound; search again with that goal", p.Metric)
	}
	k := slices.IndexFunc(p.Steps, func(s search.Step) bool { return !goal.Allows(math.NaN(), p.Base, s.Score) })
	if k < 0 {
		k = len(p.Steps)
	}
	if k == 0 {
		return 0, goal.Fail("the plan's first step leaves that bound already; allow more")
	}
	return k, nil
}
