package plan

import (
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

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
	case !jsonnum.Finite(p.Base):
		return fmt.Errorf("base_score is missing")
	case p.Metric == perplexity.NLL.String() && p.Base < leastPPL:
		return fmt.Errorf("base_score %v is no perplexity", p.Base)
	case !checkShapes(p.Shapes, p.Kinds, p.Tasks):
		return fmt.Errorf("shapes, kinds or tasks: a number is out of range")
	case p.Settings.Unit != blockmask.Auto && p.Settings.Unit != blockmask.Width && !slices.Contains(blockmask.Units(), p.Settings.Unit):
		return fmt.Errorf("settings.kind %.80q is unknown", p.Settings.Unit)
	}
	if err := p.validateChannels(); err != nil {
		return err
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
func (p *Plan) validateStep(i int, s search.Step, removed blockmask.Mask) error {
	if s.Index != i+1 {
		return fmt.Errorf("index is %d", s.Index)
	}
	if err := p.validateMask(s.Removed, removed); err != nil {
		return fmt.Errorf("removed: %w", err)
	}
	if ratio := float64(s.ParamsRemoved) / float64(p.Model.Params); !(s.Ratio-ratio < 1e-6 && ratio-s.Ratio < 1e-6) || ratio >= 1 {
		return fmt.Errorf("params_removed_ratio is %v, but params_removed is %d of %d", s.Ratio, s.ParamsRemoved, p.Model.Params)
	}
	if !jsonnum.Finite(s.Score) {
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
	for _, c := range m {
		// Mask.Check sorts the model's blocks, which for each of all candidates would take seconds: it only says what is wrong.
		if !p.Model.Blocks.Has(c.Block) || !c.Gone() && c.Kind != blockmask.FFN {
			return m.Check(p.Model.Blocks.Blocks())
		}
		if n := p.Model.Width(c.Layer); n > 0 && c.Channels.Max() >= n {
			return fmt.Errorf("%s keeps channel %d; by model.ffn_channels it has %d, counted from 0", c, c.Channels.Max(), n)
		}
		if removed.HasAll(blockmask.Mask{c}) {
			return fmt.Errorf("block %s was removed before", c)
		}
	}
	return nil
}

// validateChannels checks the widths of the FFNs.
func (p *Plan) validateChannels() error {
	if n := len(p.Model.Channels); n > len(p.Model.Blocks) {
		return fmt.Errorf("model.ffn_channels has %d layers, more than the model has blocks", n)
	}
	for i, n := range p.Model.Channels {
		if n < 0 || n > blockmask.MaxIndex+1 {
			return fmt.Errorf("model.ffn_channels has %d channels in layer %d", n, i)
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
