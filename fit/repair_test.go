package fit

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

const (
	width    = 6
	features = 9
)

// toy is a model of residual blocks x <- x + W tanh(A x), whose loss is the distance of its last stream to the unpruned model's.
type toy struct {
	blocks []blockmask.Block
	a      [][]float64 // (features, width)
	w      [][]float32 // (width, features)
	first  [][]float32 // w as it was
	post   map[int]bool
	moe    map[int]bool // its weights are those of experts, of which two work on a position
	flat   bool         // the loss is the same whatever the weights are
}

func newToy(layers int) *toy {
	rng := rand.New(rand.NewPCG(5, 6))
	t := &toy{post: map[int]bool{}, moe: map[int]bool{}}
	for l := range layers {
		for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			t.blocks = append(t.blocks, blockmask.Block{Layer: l, Kind: k})
			a, w := make([]float64, features*width), make([]float32, width*features)
			for i := range a {
				a[i] = rng.NormFloat64() / 3
			}
			for i := range w {
				w[i] = float32(rng.NormFloat64() / 4)
			}
			t.a, t.w = append(t.a, a), append(t.w, w)
		}
	}
	for _, w := range t.w {
		t.first = append(t.first, slices.Clone(w))
	}
	return t
}

func (t *toy) Blocks() []blockmask.Block { return t.blocks }

func name(i int) string { return "w" + string(rune('a'+i)) }

const experts = 3

// experted makes block i one of experts, each with weights of its own.
func (t *toy) experted(i int) {
	rng := rand.New(rand.NewPCG(7, uint64(i)))
	t.moe[i], t.w[i] = true, make([]float32, experts*width*features)
	for j := range t.w[i] {
		t.w[i][j] = float32(rng.NormFloat64() / 4)
	}
	t.first[i] = slices.Clone(t.w[i])
}

// route says which matrices work on a position, and what their products are multiplied with.
func (t *toy) route(i int, x []float32) (ids []int32, scale []float32) {
	if !t.moe[i] {
		return []int32{0}, []float32{1}
	}
	best := int32(0)
	for j := range int32(experts) {
		if x[j] > x[best] {
			best = j
		}
	}
	return []int32{best, (best + 1) % experts}, []float32{0.8, 0.5}
}

// apply runs block i on one position, and returns what each of its matrices there is multiplied with, and then the product.
func (t *toy) apply(i int, x []float32, w []float32) (f []float32, scale []float32, ids []int32) {
	ids, scale = t.route(i, x)
	f = make([]float32, len(ids)*features)
	for j := range f {
		sum := 0.3 * float64(j/features)
		for k, v := range x {
			sum += t.a[i][j%features*width+k] * float64(v)
		}
		f[j] = float32(math.Tanh(sum))
	}
	for o := range x {
		sum := float32(0)
		for j, v := range f {
			slot := j / features
			sum += scale[slot] * w[(int(ids[slot])*width+o)*features+j%features] * v
		}
		if t.post[i] {
			sum *= 0.5
		}
		x[o] += sum
	}
	return f, scale, ids
}

func embed(batch []engine.Sequence) []float32 {
	var out []float32
	for _, q := range batch {
		for _, tok := range q.Tokens {
			rng := rand.New(rand.NewPCG(uint64(tok), 1))
			for range width {
				out = append(out, float32(rng.NormFloat64()))
			}
		}
	}
	return out
}

func (t *toy) Segment(_ context.Context, batch []engine.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*engine.Tap) ([]float32, error) {
	if start < 0 {
		in, start = embed(batch), 0
	}
	out := slices.Clone(in)
	for i := start; i < stop; i++ {
		if removed.Has(t.blocks[i]) {
			continue
		}
		for p := range len(out) / width {
			f, scale, ids := t.apply(i, out[p*width:(p+1)*width], t.w[i])
			for _, tap := range taps {
				if tap.Weight != name(i) {
					continue
				}
				tap.K, tap.Features, tap.Scale = features, append(tap.Features, f...), append(tap.Scale, scale...)
				if t.moe[i] {
					tap.Used, tap.Experts = len(ids), append(tap.Experts, ids...)
				}
			}
		}
	}
	return out, nil
}

func (t *toy) EvalFrom(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, start int, in []float32) ([][]float64, error) {
	got, _ := t.Segment(ctx, batch, removed, start, len(t.blocks), in)
	want := embed(batch)
	for p := range len(want) / width {
		for i := range t.blocks {
			t.apply(i, want[p*width:(p+1)*width], t.first[i])
		}
	}
	var out [][]float64
	at := 0
	for _, q := range batch {
		var row []float64
		for range q.Tokens {
			d := square(difference(got[at:at+width], want[at:at+width]))
			if t.flat {
				d = 1
			}
			row = append(row, d)
			at += width
		}
		out = append(out, row)
	}
	return out, nil
}

func (t *toy) Product(_ context.Context, _ string, n int, a, b []float32, acc []float64) error {
	ka, kb := len(a)/n, len(b)/n
	for p := range n {
		for i := range ka {
			for j := range kb {
				acc[i*kb+j] += float64(a[p*ka+i]) * float64(b[p*kb+j])
			}
		}
	}
	return nil
}

func (t *toy) SetWeight(weight string, data []byte) error {
	for i := range t.w {
		if name(i) == weight {
			t.w[i] = decode(data)
			return nil
		}
	}
	return errors.New("no such weight")
}

func decode(data []byte) (out []float32) {
	for i := 0; i < len(data); i += 4 {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
	}
	return out
}

func encode(w []float32) (out []byte) {
	for _, v := range w {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// Projections and Encode make a toy its own Weights.
func (t *toy) Projections(b blockmask.Block) ([]*Projection, string, error) {
	i := slices.Index(t.blocks, b)
	p := &Projection{Name: name(i), In: features, Out: width, Weights: t.first[i], Data: encode(t.first[i])}
	if t.moe[i] {
		p.Experts = experts
	}
	return []*Projection{p}, "", nil
}

func (t *toy) Encode(_ *Projection, weights, _ []float32) ([]byte, error) {
	return encode(weights), nil
}

func request(removed string) Request {
	mask, err := blockmask.Parse(removed)
	if err != nil {
		panic(err)
	}
	q := Request{Removed: mask, Method: Full}
	token := engine.Token(0)
	for i := range 12 {
		var batch []engine.Sequence
		for range 2 {
			var s engine.Sequence
			for range 10 {
				token++
				s.Tokens = append(s.Tokens, token)
				s.Targets = append(s.Targets, 0)
			}
			batch = append(batch, s)
		}
		if i < 9 {
			q.Fit = append(q.Fit, batch)
		} else {
			q.Held = append(q.Held, batch)
		}
	}
	return q
}

// A repair behind a part of a block would be fitted to the wrong stream.
func TestRunRefusesParts(t *testing.T) {
	t.Parallel()
	kept, err := blockmask.NewIndices([]int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	part := blockmask.Mask{{Block: blockmask.Block{Layer: 1, Kind: blockmask.FFN}, Channels: kept}}
	if _, err := Run(t.Context(), nil, nil, Request{Removed: part}); err == nil || !strings.Contains(err.Error(), "ffn:1=2 keeps a part") {
		t.Error(err)
	}
}

func TestRepairLowersTheLoss(t *testing.T) {
	for _, removed := range []string{"attn:1", "ffn:2,attn:3", "attn:0", "attn:0,ffn:3"} {
		for _, method := range []Method{Full, Map, Auto} {
			m, q := newToy(4), request(removed)
			q.Method = method
			res, err := Run(t.Context(), m, m, q)
			if err != nil {
				t.Fatalf("%s %s: %v", removed, method, err)
			}
			if res.Undone || !(res.NLLAfter < 0.9*res.NLLBefore) || len(res.Weights) == 0 {
				t.Errorf("%s %s: %g, was %g, %d weights", removed, method, res.NLLAfter, res.NLLBefore, len(res.Weights))
			}
			for i := range m.w {
				if data, changed := res.Weights[name(i)]; changed != !slices.Equal(m.w[i], m.first[i]) || changed && !slices.Equal(decode(data), m.w[i]) {
					t.Errorf("%s %s: the model and the result differ in %s", removed, method, name(i))
				}
			}
		}
	}
}

func TestNothingRemovedIsNothingToRepair(t *testing.T) {
	m := newToy(3)
	if _, err := Run(t.Context(), m, m, request("")); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
}

func TestUndone(t *testing.T) {
	m := newToy(3)
	m.flat = true
	res, err := Run(t.Context(), m, m, request("attn:1"))
	if err != nil || !res.Undone || len(res.Weights) != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	for i := range m.w {
		if !slices.Equal(m.w[i], m.first[i]) {
			t.Errorf("%s was not put back", name(i))
		}
	}
}

func TestWhatIsNoPlainProductIsLeftAlone(t *testing.T) {
	m := newToy(3)
	m.post[1] = true
	res, err := Run(t.Context(), m, m, request("attn:1"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(res.Blocks, func(b Block) bool { return b.Block == m.blocks[1] })
	if i < 0 || !strings.Contains(res.Blocks[i].Skipped, "more than its output projection") || res.Weights[name(1)] != nil {
		t.Errorf("%+v", res.Blocks)
	}
}

func TestTooLittleText(t *testing.T) {
	m, q := newToy(2), request("attn:1")
	q.Held = nil
	if _, err := Run(t.Context(), m, m, q); err == nil {
		t.Error("a repair without anything to choose by")
	}
}
