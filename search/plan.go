package search

import (
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Plan is the outcome of a search with all that is needed to apply, check and repeat it. The package comment has its file
// format; the fields of the parts below are named as there.
type Plan struct {
	Tool        string // version of this program
	LlamaCpp    string // version of llama.cpp
	Model       PlanModel
	Calibration Calibration
	Metric      string // what scores are: "ppl" or "kld"
	Settings    Settings
	Base        float64 // score of the whole model
	Steps       []Step

	Audit  *Audit   // of strategies that race
	Refine *Refined // of the strategy refine

	HeldOut *HeldOut // nil where nothing was held out
}

// PlanModel identifies the model that a plan is for.
type PlanModel struct {
	Path   string         `json:"path"`   // as given on the command line; a help for people, not what identifies it
	SHA256 string         `json:"sha256"` // hex, of the file's bytes
	Arch   string         `json:"arch"`
	Params uint64         `json:"params"`
	Size   int64          `json:"size_bytes"`
	Blocks blockmask.Mask `json:"blocks"` // all of them
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

// Settings are what the search was asked for.
type Settings struct {
	Strategy string         `json:"strategy"`
	Unit     blockmask.Unit `json:"kind"`
	Goal     Goal           `json:"goal"`
	Seed     uint64         `json:"seed"`

	// Of the strategies that race.
	Confidence float64 `json:"confidence,omitempty"`
	Tolerance  float64 `json:"tolerance,omitempty"`
	Finalists  int     `json:"finalists,omitempty"`
	Admit      int     `json:"admit,omitempty"`
	AuditEvery int     `json:"audit_every,omitempty"`

	// Sequences is how many of the calibration set the search decided on, where that was not all of it.
	Sequences int `json:"sequences,omitempty"`
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

// Scores returns the score after each of the first k steps.
func (p *Plan) Scores(k int) []float64 {
	scores := make([]float64, k)
	for i, s := range p.Steps[:k] {
		scores[i] = s.Score
	}
	return scores
}

// ModelMismatchError says that a plan was made for another model.
type ModelMismatchError struct {
	Path       string // of the model that the plan was made for
	Plan, Have string // SHA-256 of that model and of the one given
}

func (e *ModelMismatchError) Error() string {
	return fmt.Sprintf("this plan was made for another model (%s, SHA-256 %.12s...; this one is %.12s...): use that model or search again",
		e.Path, e.Plan, e.Have)
}

// CheckModel returns a [ModelMismatchError] unless the plan was made for the model with the given SHA-256 (hex), and an
// error if one of its masks names a block that is not among blocks.
func (p *Plan) CheckModel(sha256 string, blocks []blockmask.Block) error {
	if p.Model.SHA256 != sha256 {
		return &ModelMismatchError{Path: p.Model.Path, Plan: p.Model.SHA256, Have: sha256}
	}
	if err := p.Mask(len(p.Steps)).Check(blocks); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// Prefix returns the least number of steps which reach goal. size predicts the bytes of the output; if it is nil, the sizes
// in the plan count. A goal beyond the plan's end is a [GoalError].
func (p *Plan) Prefix(goal Goal, size func(blockmask.Mask) (int64, error)) (int, error) {
	if err := goal.validate(); err != nil {
		return 0, err
	}
	if goal.ofQuality() {
		return p.within(goal)
	}
	for k, s := range p.Steps {
		now := state{blocks: len(p.Removed(k + 1)), ratio: s.Ratio, size: s.Size, speedup: s.Speedup}
		if goal.Size > 0 && size != nil {
			n, err := size(p.Mask(k + 1))
			now.size = n
			if err != nil {
				now.size = 0
			}
		}
		if goal.reached(now) {
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
	return 0, goal.fail("this plan does not go that far: its last step removes %s; search again with that goal", end)
}

// within returns the number of steps before the first that leaves a bound of quality.
func (p *Plan) within(goal Goal) (int, error) {
	if (goal.MaxKLD != 0) != (p.Metric == "kld") {
		return 0, goal.fail("this plan's scores are of metric %s, which says nothing about that bound; search again with that goal", p.Metric)
	}
	k := slices.IndexFunc(p.Steps, func(s Step) bool { return !goal.allows(math.NaN(), p.Base, s.Score) })
	if k < 0 {
		k = len(p.Steps)
	}
	if k == 0 {
		return 0, goal.fail("the plan's first step leaves that bound already; allow more")
	}
	return k, nil
}

// leastPPL is that of a model which is always right, but for rounding.
const leastPPL = 0.999

// validate checks everything that the rest of the program relies on.
func (p *Plan) validate() error {
	switch {
	case !isSHA256(p.Model.SHA256):
		return fmt.Errorf("model.sha256 %.80q is no SHA-256", p.Model.SHA256)
	case !isSHA256(p.Calibration.TokensSHA256):
		return fmt.Errorf("calibration.tokens_sha256 %.80q is no SHA-256", p.Calibration.TokensSHA256)
	case p.Model.Params == 0:
		return fmt.Errorf("model.params is missing")
	case len(p.Model.Blocks) == 0:
		return fmt.Errorf("model.blocks is missing")
	case p.Model.Blocks.WholeBlocks() != nil:
		return fmt.Errorf("model.blocks has %s, a part of a block", p.Model.Blocks.Parts()[0])
	case p.Metric == "":
		return fmt.Errorf("metric is missing")
	case p.Metric != perplexity.NLL.String() && p.Metric != perplexity.KLD.String():
		return fmt.Errorf("metric %.80q is unknown", p.Metric)
	case !finite(p.Base):
		return fmt.Errorf("base_score is missing")
	case p.Metric == perplexity.NLL.String() && p.Base < leastPPL:
		return fmt.Errorf("base_score %v is no perplexity", p.Base)
	case !slices.Contains(blockmask.Units(), p.Settings.Unit):
		return fmt.Errorf("settings.kind %.80q is unknown", p.Settings.Unit)
	}
	if r := p.Refine; r != nil {
		for _, m := range []blockmask.Mask{r.Start, r.Mask} {
			if err := m.Check(p.Model.Blocks.Blocks()); err != nil {
				return fmt.Errorf("refine: %w", err)
			}
		}
	}
	var removed blockmask.Mask
	var params uint64
	for i, s := range p.Steps {
		if err := p.validateStep(i, s, removed); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if s.ParamsRemoved <= params {
			return fmt.Errorf("step %d: params_removed is %d after %d", i+1, s.ParamsRemoved, params)
		}
		removed, params = removed.Union(s.Removed), s.ParamsRemoved
	}
	return nil
}

// validateStep checks step i, before which removed had gone.
func (p *Plan) validateStep(i int, s Step, removed blockmask.Mask) error {
	if s.Index != i+1 {
		return fmt.Errorf("index is %d", s.Index)
	}
	if err := p.validateMask(s.Removed, removed); err != nil {
		return fmt.Errorf("removed: %w", err)
	}
	if ratio := float64(s.ParamsRemoved) / float64(p.Model.Params); !(s.Ratio-ratio < 1e-6 && ratio-s.Ratio < 1e-6) || ratio >= 1 {
		return fmt.Errorf("params_removed_ratio is %v, but params_removed is %d of %d", s.Ratio, s.ParamsRemoved, p.Model.Params)
	}
	if !finite(s.Score) {
		return fmt.Errorf("score is missing")
	}
	if p.Metric == perplexity.NLL.String() && s.Score < leastPPL {
		return fmt.Errorf("score %v is no perplexity", s.Score)
	}
	if s.Size < 0 {
		return fmt.Errorf("size_bytes is %d", s.Size)
	}
	if len(s.Candidates) > len(p.Model.Blocks) {
		return fmt.Errorf("%d candidates, more than the model has blocks", len(s.Candidates))
	}
	for _, c := range s.Candidates {
		if err := p.validateMask(c.Mask, removed); err != nil {
			return fmt.Errorf("candidates: %w", err)
		}
	}
	return nil
}

// validateMask checks that m names blocks of the model, and that each loses something that is not removed yet.
func (p *Plan) validateMask(m, removed blockmask.Mask) error {
	if len(m) == 0 {
		return fmt.Errorf("a mask is empty")
	}
	if err := m.Check(p.Model.Blocks.Blocks()); err != nil {
		return err
	}
	for _, c := range m {
		if removed.HasAll(blockmask.Mask{c}) {
			return fmt.Errorf("block %s was removed before", c)
		}
	}
	return nil
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
