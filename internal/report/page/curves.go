package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/internal/format"
)

// axis is what a curve's x is.
type axis struct {
	id, name, title string
	value           func(step int) float64 // of the model after so many steps; 0 is unknown
}

// curves are the plan's scores: against size and speed where those are known, and against the parameters otherwise.
func (in Input) curves() []*chart.Curve {
	p := in.Plan
	unit, unitName := sizeUnit(p.Model.Size)
	size := axis{"size", "File size, " + unitName, "file size", func(k int) float64 {
		if k == 0 {
			return float64(p.Model.Size) / unit
		}
		return float64(p.Steps[k-1].Size) / unit
	}}
	speed := axis{"speed", "Predicted speed of generation, times the whole model's", "predicted speed", func(k int) float64 {
		if k == 0 {
			return 1
		}
		return p.Steps[k-1].Speedup
	}}
	params := axis{"parameters", "Parameters gone, %", "parameters gone", func(k int) float64 {
		if k == 0 {
			return 0
		}
		return 100 * p.Steps[k-1].Ratio
	}}
	var out []*chart.Curve
	for _, a := range []axis{size, speed} {
		if in.knows(a) {
			out = append(out, in.curve(a))
		}
	}
	if len(out) == 0 && len(p.Steps) > 0 {
		out = append(out, in.curve(params))
	}
	return out
}

// knows reports whether there are values on that axis for the whole model and all steps.
func (in Input) knows(a axis) bool {
	for k := range len(in.Plan.Steps) + 1 {
		if a.value(k) <= 0 {
			return false
		}
	}
	return len(in.Plan.Steps) > 0
}

// sizeUnit returns the bytes and the name of the unit that a file of n bytes is written in.
func sizeUnit(n int64) (float64, string) {
	switch {
	case n >= 1000<<20:
		return 1 << 30, "GiB"
	case n >= 1<<20:
		return 1 << 20, "MiB"
	default:
		return 1 << 10, "KiB"
	}
}

// curve draws the plan's steps against a.
func (in Input) curve(a axis) *chart.Curve {
	p := in.Plan
	xs, ys := []float64{a.value(0)}, []float64{p.Base}
	for k, s := range p.Steps {
		xs, ys = append(xs, a.value(k+1)), append(ys, s.Score)
	}
	c := chart.NewPlot(xs, ys, !isKLD(p))
	c.ID, c.XName, c.YName = a.id, a.name, metricName(p)
	if isKLD(p) {
		c.YName += " to the whole model, nats"
	}
	c.Title = fmt.Sprintf("%s against %s", metricName(p), a.title)
	c.Desc = fmt.Sprintf("%s with the whole model, %s after %s. The table of steps has the numbers.",
		scoreText(p.Base, false), scoreText(ys[len(ys)-1], false), plural(len(p.Steps), "step"))
	for k := range xs {
		pt := in.curvePoint(k)
		pt.X, pt.Y = c.X(xs[k]), c.Y(ys[k])
		c.Points = append(c.Points, pt)
	}
	c.HasBase, c.BaseY = true, c.Points[0].Y
	done := in.steps()
	for k, pt := range c.Points {
		if k <= done {
			c.Line = append(c.Line, chart.XY{X: pt.X, Y: pt.Y})
		}
		if k >= done && done < len(c.Points)-1 {
			c.Rest = append(c.Rest, chart.XY{X: pt.X, Y: pt.Y})
		}
	}
	c.Legend = curveLegend(c.Points, c.LogY)
	return c.Finish()
}

// curvePoint is the model after k steps, without its place.
func (in Input) curvePoint(k int) chart.Point {
	p := in.Plan
	if k == 0 {
		return chart.Point{Shape: chart.Diamond, Label: "whole model", Tip: []string{
			"whole model", shortMetric(p) + " " + scoreText(p.Base, false), format.Size(p.Model.Size),
		}}
	}
	pt := chart.Point{Shape: chart.Dot, Label: fmt.Sprint(k), Tip: in.stepLines(k), Beyond: k > in.steps()}
	if p.Steps[k-1].Sequences() > 0 {
		pt.Shape = chart.Ring
	}
	return pt
}

// curveLegend says what the shapes mean.
func curveLegend(points []chart.Point, logarithmic bool) string {
	text := "◆ whole model, ● measured"
	if slices.ContainsFunc(points, func(p chart.Point) bool { return p.Shape == chart.Ring }) {
		text += ", ○ estimated from a part of the text"
	}
	if slices.ContainsFunc(points, func(p chart.Point) bool { return p.Beyond }) {
		text += ", grey: in the plan, not carried out"
	}
	if logarithmic {
		text += ". The scale of scores is logarithmic"
	}
	return text + "."
}

// stepLines tells of the model after step k, in a few lines.
func (in Input) stepLines(k int) []string {
	p, s := in.Plan, in.Plan.Steps[k-1]
	score := fmt.Sprintf("%s %s", shortMetric(p), scoreText(s.Score, s.Sequences() > 0))
	if !isKLD(p) {
		score += fmt.Sprintf(" (×%.3f)", s.Score/p.Base)
	}
	lines := []string{fmt.Sprintf("step %d: %s", k, maskText(s.Removed, 34)), score, percent(s.Ratio) + " of parameters gone"}
	if s.Size > 0 {
		lines = append(lines, format.Size(s.Size))
	}
	if s.Speedup > 0 {
		lines[len(lines)-1] += fmt.Sprintf(", ×%.2f as fast", s.Speedup)
	}
	return lines
}

// roleShapes are the shapes of compared models.
var roleShapes = map[Role]chart.Shape{Original: chart.Diamond, Pruned: chart.Dot, Repaired: chart.Dot, Rival: chart.Square}

// heldOut draws what was measured on other text, of models against their sizes; nil with fewer than two.
func (in Input) heldOut() *chart.Curve {
	var used []Measured
	for _, m := range in.Measured {
		if m.PPL > 0 && !math.IsInf(m.PPL, 0) && m.Bytes > 0 {
			used = append(used, m)
		}
	}
	if len(used) < 2 {
		return nil
	}
	unit, name := sizeUnit(slices.MaxFunc(used, func(a, b Measured) int { return cmp.Compare(a.Bytes, b.Bytes) }).Bytes)
	var xs, span []float64
	for _, m := range used {
		xs, span = append(xs, float64(m.Bytes)/unit), append(span, m.PPL, m.PPL+m.StdErr, max(m.PPL-m.StdErr, m.PPL/2))
	}
	c := chart.NewPlot(xs, span, false)
	c.ID, c.XName, c.YName = "heldout", "File size, "+name, "Perplexity"
	c.Title = "Perplexity of the compared models against file size"
	c.Legend = "◆ original, ● pruned, ■ the original in a smaller quantisation; the bars are one standard error."
	if r, ok := in.measured(Rival); ok && r.Note != "" {
		c.Legend += " " + clean(r.Note)
	}
	c.Desc = "On text that the search did not use; the bars are one standard error. The table has the numbers."
	for i, m := range used {
		c.Points = append(c.Points, chart.Point{
			X: c.X(xs[i]), Y: c.Y(m.PPL), Label: string(m.Role), Shape: roleShapes[m.Role],
			Low: c.Y(m.PPL - m.StdErr), High: c.Y(m.PPL + m.StdErr), Error: m.StdErr > 0,
			Tip: []string{clean(m.Name), "PPL " + withError("%.4f", m.PPL, m.StdErr), format.Size(m.Bytes)},
		})
	}
	return c.Finish()
}
