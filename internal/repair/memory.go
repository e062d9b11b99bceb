package repair

import (
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
)

// memoryPart of the memory that there is may be taken, by the model and by the fit; the rest is for everything else that runs.
const memoryPart = 0.75

// memory is how many bytes an FFN may take to choose its channels, beside the model and the streams of so many positions: at least
// one, or 0 where the machine does not say what it has.
func memory(s *source.Source, twin retype.Twin, positions int) int64 {
	total := retype.Memory(s.Spec.Engine.Devices())
	if total == 0 {
		return 0
	}
	streams, _ := repairMemory(positions, s.Model.Info().NEmbd, 0)
	return max(1, int64(memoryPart*float64(total))-twin.Bytes(s.File)-streams)
}

// noteMemory tells where channels are chosen by norms, for want of memory.
func noteMemory(p Projections, q Request, memory int64, sink progress.Sink) {
	if memory == 0 || len(q.Removed.Parts()) > 0 {
		return
	}
	for _, b := range q.todo() {
		all, _ := p.find(b.Block)
		for _, t := range all {
			need := fit.CutBytes(int(t.Dims[0]), int(t.Dims[1]))
			if q.width(b.Block) > 0 && need > memory {
				sink.Notef("to choose channels by a fit of all of them takes %s for an FFN, and there is room for %s: they are chosen by their norms, which loses a little more",
					format.MiB(need), format.MiB(memory))
				return
			}
		}
	}
}
