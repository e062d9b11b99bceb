package fit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

// With one expert for each position, and a residual that new weights take away, those are what is found.
func TestExpertsFindThePlantedChange(t *testing.T) {
	const n = 600
	rng := rand.New(rand.NewPCG(1, 9))
	normals := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(rng.NormFloat64())
		}
		return out
	}
	p := newPart(newToy(1).blocks[0], &Projection{
		Name: name(0), In: features, Out: width, Experts: 4,
		Weights: normals(4 * width * features),
	})
	p.Data = encode(p.Weights)
	planted := normals(3 * width * features) // expert 3 has no position
	tap := &engine.Tap{K: features, Used: 1, Features: normals(n * features), Scale: make([]float32, n)}
	r := &rows{n: n, residual: make([]float32, n*width), taps: map[*part]*engine.Tap{p: tap}}
	for i := range n {
		e := i % 3
		tap.Scale[i] = float32(0.5 + rng.Float64())
		tap.Experts = append(tap.Experts, int32(e))
		for o := range width {
			for j := range features {
				r.residual[i*width+o] += tap.Scale[i] * planted[(e*width+o)*features+j] * tap.Features[i*features+j]
			}
		}
	}
	applyScale(tap)
	p.count(tap)
	for _, group := range []int{4, 3, 1} {
		f := newExpertsFit(p)
		f.group = group
		passes := 0
		for more := true; more; more = f.advance(&state{w: newToy(1)}) {
			passes++
			if err := f.add(t.Context(), newToy(1), false, r); err != nil {
				t.Fatal(err)
			}
		}
		if want := (4 + group - 1) / group; passes != want {
			t.Errorf("%d experts at once took %d passes, want %d", group, passes, want)
		}
		all, failed, err := f.candidates()
		if err != nil || failed != "" || len(all) != len(ExpertLambdas) {
			t.Fatal(all, failed, err)
		}
		got := decode(all[0].data[0])
		size := width * features
		if !slices.Equal(got[3*size:], p.Weights[3*size:]) {
			t.Error("the expert without a position was changed")
		}
		// lambda 0.1 with a prior of 9 on 200 positions takes a tenth off.
		var diff, norm float64
		for i, v := range planted {
			d := float64(got[i]-p.Weights[i]) - float64(v)
			diff += d * d
			norm += float64(v) * float64(v)
		}
		if rel := math.Sqrt(diff / norm); rel > 0.15 || rel < 0.05 {
			t.Errorf("%d experts at once: relative error %g", group, rel)
		}
	}
}

func TestExpertsAreRepaired(t *testing.T) {
	for _, removed := range []string{"attn:1", "ffn:2,attn:3", "attn:0,ffn:3"} {
		for _, method := range []Method{Full, Map, Auto} {
			m, q := newToy(4), request(removed)
			for i := range m.w {
				if i%2 == 1 {
					m.experted(i)
				}
			}
			q.Method = method
			res, err := Run(t.Context(), m, m, q)
			if err != nil {
				t.Fatalf("%s %s: %v", removed, method, err)
			}
			fitted := slices.IndexFunc(res.Blocks, func(b Block) bool { return m.moe[slices.Index(m.blocks, b.Block)] && b.Skipped == "" })
			if fitted < 0 || res.Undone || !(res.NLLAfter < 0.9*res.NLLBefore) {
				t.Errorf("%s %s: %g, was %g, %+v", removed, method, res.NLLAfter, res.NLLBefore, res.Blocks)
			}
			for _, b := range res.Blocks {
				if b.Skipped == "" && !(b.After < b.Before) {
					t.Errorf("%s %s: %+v", removed, method, b)
				}
			}
			for i := range m.w {
				if data, changed := res.Weights[name(i)]; changed != !slices.Equal(m.w[i], m.first[i]) || changed && !slices.Equal(decode(data), m.w[i]) {
					t.Errorf("%s %s: the model and the result differ in %s", removed, method, name(i))
				}
			}
		}
	}
}
