package repair

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
)

// todo are the kept blocks that a repair goes through: from the first that loses channels, or the last one before the first removed
// block, on.
func (q Request) todo() []layout.Block {
	first := slices.IndexFunc(q.Blocks, func(b layout.Block) bool { return q.width(b.Block) > 0 })
	if gap := slices.IndexFunc(q.Blocks, func(b layout.Block) bool { return q.Removed.Has(b.Block) }); gap >= 0 && (first < 0 || gap-1 < first) {
		first = max(0, gap-1)
	}
	if first < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(q.Blocks[first:]), func(b layout.Block) bool { return q.Removed.Has(b.Block) })
}

// manyTokens has as many digits as the number of tokens in a record, which --time and short texts may raise.
const manyTokens = 9_999_999

// Expected is a record at least as long as that of a repair without removed, so that a size that is planned with it is kept.
func Expected(s *source.Source, r Options, t corpus.Text, blocks []layout.Block, removed blockmask.Mask) *layout.RepairRecord {
	if !r.Wanted() {
		return nil
	}
	names := []string{corpus.BuiltIn, filepath.Base(t.File) + calibrate.Rendered}
	for _, file := range r.Files {
		names = append(names, filepath.Base(file)+calibrate.Rendered)
	}
	if removed.WholeBlocks() != nil {
		names = append(names, OwnText)
		for _, k := range corpus.Kinds() { // see Materials
			names = append(names, "built-in "+k.Name)
		}
	}
	out := &layout.RepairRecord{Calibration: fmt.Sprintf("%s: %d tokens", strings.Join(names, " and "), max(r.Tokens, manyTokens)), Positions: r.Tokens}
	p := NewProjections(s.Spec.Engine, s.File, blocks)
	q := Request{Blocks: blocks, Removed: removed}
	for _, b := range q.todo() {
		all, _ := p.find(b.Block)
		method := fit.Full
		if q.width(b.Block) > 0 {
			method = fit.Width
		}
		for _, tensor := range all {
			out.Tensors = append(out.Tensors, tensor.Name)
			out.Methods = append(out.Methods, string(method))
			out.Lambdas = append(out.Lambdas, 1)
		}
	}
	return out
}

// repairMemory is what a repair keeps: streams of positions x d floats, two of all positions and one more of the quarter that is held
// back; and for a block's fit with k features sums of two parts and of both, a copy and its factors (k x k doubles), and as many
// times a solution (k x d).
func repairMemory(positions, d, k int) (streams, fit int64) {
	return 9 * int64(positions) * int64(d), 8 * 5 * int64(k) * int64(k+d)
}

// fewTokens is the part of the tokens asked for below which it is told that the texts have no more; a little is lost to whole batches.
const fewTokens = 0.9

// noteRepair says what a repair is going to do, and what memory it takes beside the model.
func noteRepair(p Projections, blocks []layout.Block, r Options, text string, positions int, sink progress.Sink) {
	if len(blocks) == 0 {
		return // the repair says so itself
	}
	d, most := 0, 0
	for _, b := range blocks {
		all, _ := p.find(b.Block)
		for _, t := range all {
			k, rows := int(t.Dims[0]), int(t.Dims[1])
			if r.Method == fit.Map || r.Method == fit.Auto && k > fit.MaxFull {
				k = rows
			}
			d, most = max(d, rows), max(most, k)
		}
	}
	streams, fit := repairMemory(positions, d, most)
	if float64(positions) < fewTokens*float64(r.Tokens) {
		text += fmt.Sprintf(" (of %d wanted; a text has no more)", r.Tokens)
	}
	without := ""
	if r.Usual {
		without = "; --repair off does without"
	}
	sink.Notef("repair: %d blocks, on %s; beside the model it takes at least %s for the residual streams and %s for the largest block's fit%s", len(blocks), text,
		format.MiB(streams), format.MiB(fit), without)
}

// repairBar shows how far a repair has come, block by block, with the time left by the blocks that are done.
type repairBar struct {
	progress.Bar
	begin time.Time
}

func startBar(sink progress.Sink, label string, blocks int) *repairBar {
	return &repairBar{sink.Start(label, int64(blocks)), time.Now()}
}

func (p *repairBar) block(done, total int, b blockmask.Block) {
	if done == 0 {
		p.begin = time.Now() // what went before, the run up to the first gap, says nothing of the blocks
	} else {
		p.Left(time.Since(p.begin) * time.Duration(total-done) / time.Duration(done))
	}
	p.Set(int64(done), b.String())
}
