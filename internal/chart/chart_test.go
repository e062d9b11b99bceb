package chart

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Every point lies within the plot, further right for more of x and higher for more of the score.
func TestCurveGeometry(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(t, "n")
		value := rapid.Float64Range(0.01, 1e6)
		xs, ys := rapid.SliceOfN(value, n, n).Draw(t, "xs"), rapid.SliceOfN(value, n, n).Draw(t, "ys")
		p := NewPlot(xs, ys, rapid.Bool().Draw(t, "log"))
		for i := range xs {
			x, y := p.X(xs[i]), p.Y(ys[i])
			if !(x >= p.Left && x <= p.Right && y >= p.Top && y <= p.Bottom) {
				t.Fatalf("point %d (%g, %g) is drawn at (%g, %g)", i, xs[i], ys[i], x, y)
			}
			for j := range xs {
				if xs[i] > xs[j] && p.X(xs[j]) > x || ys[i] > ys[j] && p.Y(ys[j]) < y {
					t.Fatalf("points %d and %d are drawn in the wrong order", i, j)
				}
			}
		}
		for _, tick := range slices.Concat(p.XTicks, p.YTicks) {
			if math.IsNaN(tick.At) || tick.Text == "" {
				t.Fatalf("tick %v", tick)
			}
		}
		if len(p.XTicks) < 2 || len(p.YTicks) < 2 {
			t.Fatalf("%d and %d ticks", len(p.XTicks), len(p.YTicks))
		}
	})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to float64
		want     []float64
	}{
		{0, 10, []float64{0, 2, 4, 6, 8, 10}},
		{8.3, 12.1, []float64{9, 10, 11, 12}},
		{0.97, 1.53, []float64{1, 1.1, 1.2, 1.3, 1.4, 1.5}},
	} {
		got := ticks(c.from, c.to)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("ticks(%g, %g) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if got := ladder(0.9, 60, 1, 2, 5); !slices.Equal(got, []float64{1, 2, 5, 10, 20, 50}) {
		t.Errorf("ladder: %v", got)
	}
}

// Classes rise with the values, and there are at most as many as there are colours.
func TestClasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1, 1e4), 1, 200).Draw(t, "values")
		bounds := NewClasses(values)
		if len(bounds) > worse-1 || !slices.IsSorted(bounds) {
			t.Fatalf("bounds %v", bounds)
		}
		if n := len(bounds.legend(Percent)); n != len(bounds)+2 && len(bounds) > 0 {
			t.Fatalf("%d bounds, %d entries", len(bounds), n)
		}
		slices.Sort(values)
		last := 0
		for _, v := range values {
			c := bounds.Of(v)
			if c < last || c > worse || (c == 0) != (v < 0) {
				t.Fatalf("%g has class %d after %d", v, c, last)
			}
			last = c
		}
	})
}

// What is filled of a block lies within it, the more the more is gone; all numbers of a row have the same form, and fit.
func TestBlockMapParts(t *testing.T) {
	t.Parallel()
	for layers, form := range map[int]int{12: 0, 32: 1, 200: 2} {
		m := NewBlockMap(nil, layers)
		var cells []MapCell
		for l := range layers {
			c := MapCell{Layer: l, Part: float64(l) / float64(layers), Numbers: []string{"14336", "77%"}}
			if l == 1 {
				c.Part, c.Removed, c.Number, c.Numbers = 0, true, "1", nil
			}
			cells = append(cells, c)
		}
		m.AddRow("attention", cells[1:2])
		m.AddRow("FFN", cells)
		row := m.Rows[1]
		if m.Rows[0].Size >= row.Size || row.Y < m.Rows[0].Y+m.Rows[0].Size || float64(m.Height) < row.Y+row.Size {
			t.Errorf("%d layers: rows %+v, %+v of %d", layers, m.Rows[0], row, m.Height)
		}
		last := 0.0
		for _, c := range row.Cells {
			if c.Part == 0 {
				continue
			}
			if c.Fill < last || c.Fill <= 0 || c.Fill >= row.Size || c.NumberY < row.Y+8 || c.NumberY > row.Y+row.Size {
				t.Errorf("%d layers: %+v", layers, c)
			}
			if want := append(c.Numbers, "")[form]; c.Number != want || c.Kept && c.NumberY-9 < row.Y+c.Fill {
				t.Errorf("%d layers: number %q at %g, want %q", layers, c.Number, c.NumberY, want)
			}
			last = c.Fill
		}
	}
}
