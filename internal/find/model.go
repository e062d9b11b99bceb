package find

import (
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
)

// cost is what running the source costs, in blocks. The head's part is that of its weights: it is the same on every machine,
// so that two runs of a search end with the same plan.
func (f *finder) cost() search.Cost {
	c := search.Cost{Blocks: source.PlainBlocks(f.blocks)}
	all := f.src.Sizes(f.blocks).Of(c.Blocks...).Params
	for _, name := range []string{"output.weight", "token_embd.weight"} {
		if t, ok := f.src.File.Tensor(name); ok && all > 0 {
			c.Head = float64(t.Elements()) * float64(len(c.Blocks)) / float64(all)
			break
		}
	}
	return c
}

// model describes the source as package search wants it.
func (f *finder) model() *search.Model {
	m := &search.Model{Params: map[blockmask.Block]uint64{}, Total: f.src.File.Params()}
	for _, b := range f.blocks {
		m.Blocks = append(m.Blocks, b.Block)
		m.Params[b.Block] = f.src.Sizes(f.blocks).Of(b.Block).Params
	}
	m.Size = func(removed blockmask.Mask) (int64, error) {
		return layout.Size(f.layoutRequest(removed))
	}
	return m
}

// layoutRequest asks for the file without removed, of the size that it will have: with a provenance of the final length.
func (f *finder) layoutRequest(removed blockmask.Mask) layout.Request {
	p := f.provenance()
	p.SourceSHA256 = fmt.Sprintf("%064d", 0)
	p.Removed = removed.Blocks()
	p.Scores = make([]float64, removed.Len())
	p.Repair = repair.Expected(f.src, f.Repair, f.Text, f.blocks, removed)
	return layout.Request{Source: f.src.File, Blocks: f.blocks, Removed: removed, Kind: f.Layout, Provenance: p}
}

// tryLayout builds the file without the first candidate, so that a layout that can never work shows before the search. It returns
// the layout that this file has.
func (f *finder) tryLayout(m *search.Model) (layout.Kind, error) {
	candidates := blockmask.Candidates(f.Unit, m.Blocks, nil)
	if len(candidates) == 0 {
		return f.Layout, nil // the search says so
	}
	res, err := layout.Build(f.layoutRequest(candidates[0]))
	if err != nil {
		return "", err
	}
	return res.Kind, nil
}

// provenance is what a file would say of its origin, but for what is removed: it counts in its size.
func (f *finder) provenance() layout.Provenance {
	p := layout.Provenance{Tool: f.Tool, LlamaCpp: f.src.Spec.Engine.Version().Tag}
	if f.set != nil {
		p.Metric, p.Calibration = f.Method.Metric.String()+" "+string(f.set.Convention), f.set.Describe()
	}
	return p
}
