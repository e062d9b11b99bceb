package page

import (
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/search"
)

// What is larger is not drawn: no model is, but a plan's file may say so.
const (
	maxLayers = 1024
	maxCells  = 100_000
)

// compared reports whether some step scored more than what it removed, and whole blocks among that.
func (in Input) compared() bool {
	return slices.ContainsFunc(in.Plan.Steps, func(s search.Step) bool {
		return len(s.Candidates) > 1 && slices.ContainsFunc(s.Candidates, func(c search.Candidate) bool { return c.Mask.WholeBlocks() == nil })
	})
}

// layers is how many layers the model has by its blocks' numbers, and whether that many can be drawn.
func (in Input) layers() (n int, drawn bool) {
	for _, b := range in.Plan.Model.Blocks.Blocks() {
		n = max(n, b.Layer+1)
	}
	return n, n <= maxLayers
}

// heatMap draws all scores of the plan: for each kind of block a panel of layers by steps, in which a cell is what the score would
// become if that block went next. It is nil where no step has more than one score.
func (in Input) heatMap() *chart.Heat {
	p := in.Plan
	layers, drawn := in.layers()
	if !drawn || !in.compared() || len(p.Steps)*len(p.Model.Blocks) > maxCells {
		return nil
	}
	scores, values := in.scores()
	classes := chart.NewClasses(values)
	h := chart.NewHeat(in.stepNames(), layers)
	h.Title, h.What = "Heat map of block importance", heatWhat(isKLD(p))
	h.Desc = fmt.Sprintf("%s by %s; %s. The table of all scores has the numbers.", plural(layers, "layer"), plural(len(p.Steps), "step"), h.What)
	for _, kind := range in.panels() {
		h.AddPanel(kind.name, func(k, layer int) (chart.HeatCell, bool) {
			b := blockmask.Block{Layer: layer, Kind: kind.kind}
			if !p.Model.Blocks.Has(b) {
				return chart.HeatCell{}, false
			}
			return in.heatCell(scores[k], b, k, classes), true
		})
	}
	h.AddLegend(classes, in.unit())
	return h
}

// unit is how differences of scores are written in the heat map.
func (in Input) unit() chart.Unit {
	if isKLD(in.Plan) {
		return chart.Thousandth
	}
	return chart.Percent
}

// panels are the kinds of blocks that candidates are of. Whole layers have one panel, for their mixers stand for them.
func (in Input) panels() []panelKind {
	mixer, ffn := panelKind{blockmask.Mixer, "Attention (or other mixers), by layer"}, panelKind{blockmask.FFN, "FFN, by layer"}
	switch in.Plan.Settings.Unit {
	case blockmask.Attn:
		return []panelKind{mixer}
	case blockmask.Ffn:
		return []panelKind{ffn}
	case blockmask.Whole:
		return []panelKind{{blockmask.Mixer, "Whole layers"}}
	}
	return []panelKind{mixer, ffn}
}

type panelKind struct {
	kind blockmask.Kind
	name string
}

func heatWhat(kld bool) string {
	if kld {
		return "change of the KL divergence, in thousandths of a nat, if that block went next"
	}
	return "change of perplexity, in per cent, if that block went next"
}

// scored is what a step knows about a block.
type scored struct {
	search.Candidate
	diff float64 // from the score before the step: see difference
}

// scores returns what each step scored, by block, and all differences that are finite. A block of several candidates counts with the
// best of them.
func (in Input) scores() (steps []map[blockmask.Block]scored, values []float64) {
	p, before := in.Plan, in.Plan.Base
	for _, s := range p.Steps {
		step := map[blockmask.Block]scored{}
		for _, c := range s.Candidates {
			d := difference(isKLD(p), before, c.Score)
			if !math.IsInf(d, 0) && !math.IsNaN(d) {
				values = append(values, d)
			}
			for _, b := range c.Mask.Blocks() {
				if old, ok := step[b]; !ok || c.Score < old.Score {
					step[b] = scored{c, d}
				}
			}
		}
		steps, before = append(steps, step), s.Score
	}
	return steps, values
}

// heatCell is the cell of block b in step k, which scored step.
func (in Input) heatCell(step map[blockmask.Block]scored, b blockmask.Block, k int, classes chart.Classes) chart.HeatCell {
	p := in.Plan
	if i := slices.IndexFunc(p.Steps[:k], func(s search.Step) bool { return s.Removed.Has(b) }); i >= 0 {
		return chart.HeatCell{Class: chart.Gone, Title: fmt.Sprintf("%s went in step %d", b, i+1)}
	}
	s, ok := step[b]
	if !ok {
		return chart.HeatCell{Class: chart.NotScored, Title: fmt.Sprintf("step %d: %s was not scored", k+1, b)}
	}
	before := p.Base
	if k > 0 {
		before = p.Steps[k-1].Score
	}
	c := chart.HeatCell{
		Class: classes.Of(s.diff), Chosen: s.Mask.Equal(p.Steps[k].Removed), Estimated: s.Sequences > 0, Number: in.unit().Number(s.diff),
	}
	c.Title = fmt.Sprintf("step %d: without %s %s %s, %s", k+1, s.Mask, shortMetric(p), scoreText(s.Score, c.Estimated), change(isKLD(p), before, s.Score))
	if c.Estimated {
		c.Title += ", estimated from " + plural(s.Sequences, "sequence")
	}
	if c.Chosen {
		c.Title += ": removed"
	}
	return c
}

// stepNames are what the steps remove, in short.
func (in Input) stepNames() []string {
	names := make([]string, len(in.Plan.Steps))
	for k, s := range in.Plan.Steps {
		if in.Plan.Settings.Unit == blockmask.Whole {
			names[k] = fmt.Sprintf("layer %d", s.Removed[0].Layer)
		} else {
			names[k] = format.Clip(maskText(s.Removed, 18), 18)
		}
	}
	return names
}
