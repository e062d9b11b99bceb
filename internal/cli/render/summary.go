package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// maxMaskText is how long the list of removed blocks may be in the summary, where all must fit a screen.
const maxMaskText = 240

// maxStepText is the same in the table of steps, for masks with channels.
const maxStepText = 60

// maskText names what a mask removes. Channels are counted where the text would be longer than most bytes.
func maskText(m blockmask.Mask, most int) string {
	if m.WholeBlocks() == nil {
		return m.String()
	}
	return m.Brief(most)
}

// printSummary prints what a search came to: what was removed, and what that means for speed and quality. What is known of the file
// follows it.
func printSummary(u *ui.UI, out *prune.Outcome) {
	p := out.Plan
	if p == nil || len(out.Steps) == 0 {
		return
	}
	last := out.Steps[len(out.Steps)-1]
	blocks := ""
	if text := maskText(out.Removed, maxMaskText); len(text) <= maxMaskText {
		blocks = ": " + text
	}
	switch parts, whole := len(out.Removed.Parts()), out.Removed.Len(); {
	case parts > 0 && whole > 0:
		u.Resultf("removed %d of %d blocks, and channels of %d%s", whole, out.Model.Blocks, parts, blocks)
	case parts > 0:
		u.Resultf("removed channels of %d of %d blocks%s", parts, out.Model.Blocks, blocks)
	default:
		u.Resultf("removed %d of %d blocks%s", whole, out.Model.Blocks, blocks)
	}
	if last.Speedup > 0 {
		u.Resultf("speed   about x%.2f for each token, by the blocks' times on this machine", last.Speedup)
	}
	held := out.HeldOut()
	estimate := ""
	if last.Sequences() > 0 {
		estimate = " (an estimate)"
	}
	switch {
	case out.Repair != nil && len(out.Repair.Narrowed) > 0: // the score is of text that such a fit may not have seen
		u.Resultf("PPL     %s", fittedText(out.Repair, p.Kinds))
	case p.Order != "": // nothing was measured
	case p.Metric == perplexity.KLD.String():
		u.Resultf("KLD     %.4f nats on the calibration%s", last.Score, estimate)
	case held == nil && !math.IsInf(last.Score, 0):
		u.Resultf("PPL     x%.3f on the calibration%s", last.Score/p.Base, estimate)
	}
	if held != nil {
		u.Resultf("PPL     %s", heldOutText(held))
	}
}

// fittedText says what a fit of channels lost on text that was held back from it, in all and by kind.
func fittedText(r *fit.Result, kinds []plan.Kind) string {
	text := fmt.Sprintf("x%.3f on text held back from the fit: %.2f, was %.2f", math.Exp(r.NLLAfter-r.NLLBefore), math.Exp(r.NLLAfter), math.Exp(r.NLLBefore))
	if len(kinds) < 2 {
		return text
	}
	byRatio := func(a, b plan.Kind) int { return cmp.Compare(a.Ratio(), b.Ratio()) }
	best, worst := slices.MinFunc(kinds, byRatio), slices.MaxFunc(kinds, byRatio)
	return fmt.Sprintf("%s; from x%.2f (%s) to x%.2f (%s)", text, best.Ratio(), best.Describe(), worst.Ratio(), worst.Describe())
}

// printNext says what to do with the file.
func printNext(u *ui.UI, path string) {
	u.Notef("next    ggufprune ppl -m %s -f your-text.txt", format.Shell(path))
	u.Notef("        llama-cli -m %s", format.Shell(path))
}

// heldOutText says how the loss on text that the search has not seen compares.
func heldOutText(h *plan.HeldOut) string {
	ratio := func(x *float64) string {
		if x == nil {
			return "beyond measure"
		}
		return fmt.Sprintf("x%.3f", *x)
	}
	sequences := fmt.Sprintf("%d held-out sequences", h.Sequences)
	if h.Sequences == 1 {
		sequences = "a held-out sequence"
	}
	return fmt.Sprintf("%s on %s, %s on the calibration: %s", ratio(h.Ratio), sequences, ratio(h.SeenRatio), h.Verdict)
}
