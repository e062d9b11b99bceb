package chart

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// somePanels are two plots of two series, and a point of none.
func somePanels() Panels {
	p := Panels{
		ID: "two", Title: "Two <plots>", Desc: "of the same", Columns: 2,
		Keys: []Key{{Shape: Diamond, Text: "original"}, {Series: 1, Shape: Ring, Text: "one", Joined: true}, {Series: 4, Shape: Square, Text: "other", Joined: true}},
	}
	for _, name := range []string{"Perplexity & more", "Accuracy"} {
		plot := NewPlot([]float64{1, 2, 3}, []float64{5, 6, 90}, true)
		plot.XName, plot.YName = "size", name
		at := func(series int, shape Shape, x, y float64) Point {
			return Point{X: plot.X(x), Y: plot.Y(y), Series: series, Shape: shape, Label: fmt.Sprint(x), Tip: []string{"a tip"}}
		}
		plot.Points = []Point{at(0, Diamond, 3, 5), at(1, Ring, 1, 90), at(1, Ring, 2, 20), at(4, Square, 2, 6)}
		plot.Lines = []SeriesLine{{1, []XY{{plot.X(1), plot.Y(90)}, {plot.X(2), plot.Y(20)}}}}
		p.Curves = append(p.Curves, plot.Finish())
	}
	return p
}

// The file is XML that needs nothing from outside, each point has its series' colour, and the legend explains each.
func TestPanels(t *testing.T) {
	t.Parallel()
	raw, err := somePanels().SVG("head", strings.Repeat("footing ", 20))
	if err != nil {
		t.Fatal(err)
	}
	svg := string(raw)
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int{
		`<g class="s1">`: 5, `<g class="s4">`: 3, `class="line s1"`: 2, `class="ring"`: 5, `class="square"`: 3, `class="diamond"`: 3, `>Perplexity &amp; more<`: 1,
		`prefers-color-scheme: dark`: 2, `Two &lt;plots&gt;`: 1, `footing`: 20, `>other<`: 1,
	} {
		if got := strings.Count(svg, text); got != want {
			t.Errorf("%d times %s, want %d", got, text, want)
		}
	}
	if refs := regexp.MustCompile(`(href|src|url\()`).FindAllString(svg, -1); len(refs) > 0 {
		t.Errorf("it asks for %v", refs)
	}
	if _, err := (Panels{}).SVG("", ""); err == nil {
		t.Error("nothing to draw is no error")
	}
}

// Panels stand in rows, the legend above them wraps where it is too long, and nothing lies over anything.
func TestPanelsInRows(t *testing.T) {
	t.Parallel()
	p := somePanels()
	p.Columns = 1
	for i := range 8 {
		p.Keys = append(p.Keys, Key{Text: fmt.Sprintf("a key of some length, number %d", i)})
	}
	top := p.placeKeys(curveWidth + 2*sideRoom)
	rows := map[float64]float64{}
	for _, k := range p.Keys {
		if k.X < rows[k.Y] || k.Y >= top {
			t.Errorf("%+v in row %v, panels from %v on", k, rows[k.Y], top)
		}
		rows[k.Y] = k.X + 20
	}
	if len(rows) < 3 {
		t.Errorf("rows %v", rows)
	}
	raw, err := p.SVG("", "")
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`<svg x="(\S+)" y="(\S+)"`).FindAllStringSubmatch(string(raw), -1)
	if len(at) != 2 || at[0][1] != at[1][1] || at[0][2] == at[1][2] {
		t.Errorf("panels at %v", at)
	}
}
