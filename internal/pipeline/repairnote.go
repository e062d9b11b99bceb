package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/repair"
)

// behindGap are the kept blocks that a repair goes through: from the last one before the first removed block on.
func behindGap(blocks []layout.Block, removed blockmask.Mask) []layout.Block {
	gap := slices.IndexFunc(blocks, func(b layout.Block) bool { return removed.Has(b.Block) })
	if gap < 0 {
		return nil
	}
	var out []layout.Block
	for _, b := range blocks[max(0, gap-1):] {
		if !removed.Has(b.Block) {
			out = append(out, b)
		}
	}
	return out
}

// What a repair keeps in memory: streams of positions x n_embd floats, and k x k doubles for a block's fit.
const (
	repairStreams  = 3
	repairMatrices = 4
)

// fewTokens is the part of the tokens asked for below which it is told that the texts have no more; a little is lost to whole batches.
const fewTokens = 0.9

// noteRepair says what a repair is going to do, and what memory it takes beside the model.
func (s *Source) noteRepair(p projections, blocks []layout.Block, r Repair, text string, positions int, rep Reporter) {
	if len(blocks) == 0 {
		return // the repair says so itself
	}
	d, most := 0, 0
	for _, b := range blocks {
		t, reason := p.find(b.Block)
		if reason != "" {
			continue
		}
		k, rows := int(t.Dims[0]), int(t.Dims[1])
		if r.Method == repair.Map || r.Method == repair.Auto && k > repair.MaxFull {
			k = rows
		}
		d, most = max(d, rows), max(most, k)
	}
	if float64(positions) < fewTokens*float64(r.Tokens) {
		text += fmt.Sprintf(" (--repair-tokens asks for %d, and a text has no more)", r.Tokens)
	}
	rep.Notef("repair: %d blocks, on %s; beside the model it takes at least %s for the residual streams and %s for the largest block's fit", len(blocks), text,
		mebibytes(int64(4*repairStreams*positions*d)), mebibytes(int64(8*repairMatrices*most*most)))
}

// repairProgress tells rep how far a repair has come, block by block, with the time left by the blocks that are done.
type repairProgress struct {
	Progress
	begin time.Time
}

func startRepair(rep Reporter, blocks int) *repairProgress {
	return &repairProgress{rep.Start("repair", int64(blocks)), time.Now()}
}

func (p *repairProgress) block(done, total int, b blockmask.Block) {
	if done == 0 {
		p.begin = time.Now() // what went before, the run up to the first gap, says nothing of the blocks
	} else {
		p.Left(time.Since(p.begin) * time.Duration(total-done) / time.Duration(done))
	}
	p.Set(int64(done), b.String())
}
