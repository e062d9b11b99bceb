package realbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/internal/outfile"
)

// series are the methods as the picture has them: its colours are numbered from 1.
var series = []struct {
	methods []string
	name    string
	shape   chart.Shape
}{
	{[]string{blocks}, "blocks", chart.Ring},
	{[]string{repaired}, "blocks, repaired", chart.Ring},
	{[]string{width}, "channels (default)", chart.Dot},
	{[]string{quant, quantOut}, "the original in smaller types", chart.Square},
}

// measureOf is an axis: its name, and the value of a row with its standard error; false where it was not measured.
type measureOf struct {
	name  string
	value func(row) (value, stderr float64, ok bool)
}

// plot draws perplexity and accuracy against file size and speed.
func (b *bench) plot(context.Context) error {
	svg, err := b.picture(b.rows())
	if err != nil {
		return err
	}
	if err := outfile.WriteFile(b.svg, svg, true); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s\n", b.svg)
	return nil
}

// picture is that as an SVG.
func (b *bench) picture(rows []row) ([]byte, error) {
	size := measureOf{"File size, MiB", func(r row) (float64, float64, bool) { return float64(b.bytesOf(r.subject)) / (1 << 20), 0, true }}
	speed := measureOf{"Speed of generation, times the original's", func(r row) (float64, float64, bool) {
		if r.made == nil {
			return 1, 0, true
		}
		if r.pace == nil {
			return 0, 0, false
		}
		return r.pace.Generate, 0, true
	}}
	ppl := measureOf{"Perplexity, lower is better", func(r row) (float64, float64, bool) {
		if r.ppl == nil || float64(r.ppl.Mean) > 1e9 {
			return 0, 0, false
		}
		return float64(r.ppl.Mean), float64(r.ppl.StdErr), true
	}}
	accuracy := measureOf{"Accuracy, %, higher is better", func(r row) (float64, float64, bool) {
		if r.acc == nil {
			return 0, 0, false
		}
		return 100 * r.acc.After, 100 * r.acc.AfterErr, true
	}}
	p := chart.Panels{
		ID: "real", Title: "What is lost, and what it buys: " + b.modelName(),
		Desc: "Perplexity and accuracy against file size and speed, of pruned files and quantisations. The table in docs/BENCHMARKS.md has the numbers.",
		Keys: []chart.Key{{Shape: chart.Diamond, Text: "original"}},
	}
	for _, y := range []measureOf{ppl, accuracy} {
		for _, x := range []measureOf{size, speed} {
			if c := b.curve(fmt.Sprintf("real-%d", len(p.Curves)), x, y, rows); c != nil {
				p.Curves = append(p.Curves, c)
			}
		}
	}
	if len(p.Curves) == 0 {
		return nil, errors.New("nothing to draw: neither perplexity nor accuracy of two files was measured")
	}
	p.Columns = 2
	for i, s := range series {
		if slices.ContainsFunc(rows, func(r row) bool { return slices.Contains(s.methods, r.method) }) {
			p.Keys = append(p.Keys, chart.Key{Series: i + 1, Shape: s.shape, Text: s.name, Joined: true})
		}
	}
	return p.SVG(p.Title, b.conditions(rows, false))
}

// curve draws y against x; nil with fewer than two files besides the original.
func (b *bench) curve(id string, x, y measureOf, rows []row) *chart.Curve {
	var used []row
	var xs, span []float64
	for _, r := range rows {
		at, _, ok := x.value(r)
		v, e, known := y.value(r)
		again := slices.ContainsFunc(used, func(u row) bool { return u.hash == r.hash }) // one quantisation for two sizes
		if ok && known && !again {
			used, xs, span = append(used, r), append(xs, at), append(span, v-bar(v, e), v+bar(v, e))
		}
	}
	if len(used) < 2 {
		return nil
	}
	plot := chart.NewPlot(xs, span, true)
	plot.ID, plot.XName, plot.YName, plot.Title = id, x.name, y.name, y.name+" against "+x.name
	lines := make([]chart.SeriesLine, len(series))
	for i, r := range used {
		v, e, _ := y.value(r)
		pt := chart.Point{
			X: plot.X(xs[i]), Y: plot.Y(v), Shape: chart.Diamond, Low: plot.Y(v - bar(v, e)), High: plot.Y(v + bar(v, e)), Error: e > 0 && bar(v, e) == e,
			Tip: b.tip(r),
		}
		for k, s := range series {
			if slices.Contains(s.methods, r.method) {
				pt.Series, pt.Shape, pt.Label = k+1, s.shape, cmp.Or(shortType(r.made.Type), percent(r.ratio))
				lines[k].Series = k + 1
				lines[k].Points = append(lines[k].Points, chart.XY{X: pt.X, Y: pt.Y})
			}
		}
		plot.Points = append(plot.Points, pt)
	}
	for _, l := range lines {
		if len(l.Points) > 1 {
			slices.SortFunc(l.Points, func(a, b chart.XY) int { return cmp.Compare(a.X, b.X) })
			plot.Lines = append(plot.Lines, l)
		}
	}
	return plot.Finish()
}

// bar is how far an error bar goes to each side: no further than a logarithmic scale can show.
func bar(v, stderr float64) float64 {
	if stderr < v/2 {
		return stderr
	}
	return 0
}

// tip tells of a row in a few lines.
func (b *bench) tip(r row) []string {
	lines := []string{r.name(), mib(b.bytesOf(r.subject))}
	if r.ppl != nil {
		lines = append(lines, "PPL "+r.ppl.text("%.2f"))
	}
	if r.acc != nil {
		lines = append(lines, fmt.Sprintf("accuracy %.1f ± %.1f", 100*r.acc.After, 100*r.acc.AfterErr))
	}
	if r.pace != nil {
		lines = append(lines, fmt.Sprintf("generates ×%.2f as fast", r.pace.Generate))
	}
	return lines
}
