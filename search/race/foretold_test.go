package race

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Whatever was foretold, the mean over all sequences stays what it is; what was never measured is left alone.
func TestForetoldIsUnbiased(t *testing.T) {
	t.Parallel()
	m := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "sequences")
		values := rapid.SliceOfN(rapid.Float64Range(-5, 5), n, n)
		unknown := func(name string) []float64 {
			x := values.Draw(t, name)
			for i := range x {
				if rapid.IntRange(0, 2).Draw(t, "unknown") == 0 {
					x[i] = []float64{math.NaN(), math.Inf(1)}[i%2]
				}
			}
			return x
		}
		f := Foretold{}
		f.Learn(m, unknown("first"))
		f.Learn(m, unknown("second"))
		x := values.Draw(t, "x")
		got := append([]float64(nil), x...)
		which := make([]int, n)
		for i := range which {
			which[i] = i
		}
		f.Adjust(m, which, got)
		if a, b := meanOf(x), meanOf(got); math.Abs(a-b) > 1e-9 || math.IsNaN(b) {
			t.Fatalf("mean %v became %v", a, b)
		}
	})
}

// What is known from different steps is put on the level of the last.
func TestForetoldLevels(t *testing.T) {
	t.Parallel()
	m := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	nan := math.NaN()
	f := Foretold{}
	f.Learn(m, []float64{1, 2, nan, nan})
	f.Learn(m, []float64{nan, 3, 5, nan}) // a step dearer
	x := []float64{10, 10, 10, 10}
	f.Adjust(m, []int{0, 1, 2, 3}, x) // rises 2, 3, 5, unknown
	mean := 10.0 / 3
	for i, want := range []float64{10 - 2 + mean, 10 - 3 + mean, 10 - 5 + mean, 10} {
		if math.Abs(x[i]-want) > 1e-12 {
			t.Errorf("sequence %d: %v, want %v", i, x[i], want)
		}
	}
	f.Adjust(blockmask.New(blockmask.Block{Layer: 2}), []int{0}, x[:1]) // never seen
}
