package llamabind_test

import (
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/llamabind"
)

// scoredSequences are sequences of one length with every position scored; the last target is arbitrary.
func scoredSequences(t *testing.T, m *llamabind.Model) []engine.Sequence {
	t.Helper()
	batch := sequences(t, m, 16, 16, 16)
	for i := range batch {
		batch[i].Targets[15] = 1
	}
	return batch
}

func TestSegmentsEqualFullPass(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 4, SeqLen: 16})
	batch := scoredSequences(t, m)
	for _, removed := range []string{"", "attn:0", "attn:3,ffn:3,ffn:5", "ffn:11"} {
		gone := mask(t, removed)
		want := eval(t, s, batch, gone)[-1]
		stream, err := s.Segment(t.Context(), batch, gone, -1, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Blocks() {
			got, err := s.EvalFrom(t.Context(), batch, gone, i, stream)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, removed, got, want, 0)
			if stream, err = s.Segment(t.Context(), batch, gone, i, i+1, stream); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.EvalFrom(t.Context(), batch, gone, len(s.Blocks()), stream)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, removed, got, want, 0)
	}
}

// weight reads a weight of the tiny model from its file.
func weight(t *testing.T, name string) (gguf.Tensor, []byte, []float32) {
	t.Helper()
	f, err := gguf.Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	data, err := io.ReadAll(f.Data(w))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, w.Elements())
	if err := llamabind.ToFloat(uint32(w.Type), data, out); err != nil {
		t.Fatal(err)
	}
	return w, data, out
}

func TestTapTimesWeightIsTheBlock(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 4, SeqLen: 16})
	batch := scoredSequences(t, m)
	for _, name := range []string{"blk.3.attn_output.weight", "blk.3.ffn_down.weight"} {
		w, _, values := weight(t, name)
		k, d := int(w.Dims[0]), int(w.Dims[1])
		i := slices.IndexFunc(s.Blocks(), func(b engine.Block) bool { return slices.Contains(s.Weights(b), name) })
		before, err := s.Segment(t.Context(), batch, nil, -1, i, nil)
		if err != nil {
			t.Fatal(err)
		}
		tap := &engine.Tap{Weight: name}
		after, err := s.Segment(t.Context(), batch, nil, i, i+1, before, tap)
		if err != nil {
			t.Fatal(err)
		}
		f := tap.Features
		if tap.Refused != "" || len(f) != 48*k {
			t.Fatalf("%s: %d features, refused: %s", name, len(f), tap.Refused)
		}
		// llama.cpp rounds the activations of a Q8_0 product to 8 bits.
		var diff, norm float64
		for p := range 48 {
			for o := range d {
				sum := 0.0
				for j := range k {
					sum += float64(values[o*k+j]) * float64(f[p*k+j])
				}
				got := float64(after[p*d+o]) - float64(before[p*d+o])
				diff += (got - sum) * (got - sum)
				norm += sum * sum
			}
		}
		if diff > 1e-3*norm || norm == 0 {
			t.Errorf("%s: relative square error %g", name, diff/norm)
		}
	}
}

func TestProductEqualsPlain(t *testing.T) {
	s := open(t, load(t), engine.SessionParams{NSeq: 1, SeqLen: 16})
	const n, k, d = 77, 12, 5
	rng := rand.New(rand.NewPCG(1, 2))
	f, r := make([]float32, n*k), make([]float32, n*d)
	for i := range f {
		f[i] = float32(rng.NormFloat64())
	}
	for i := range r {
		r[i] = float32(rng.NormFloat64())
	}
	g, c := make([]float64, k*k), make([]float64, k*d)
	for range 2 { // the second call adds to the first
		if err := s.Product(t.Context(), "blk.0.ffn_down.weight", n, f, f, g); err != nil {
			t.Fatal(err)
		}
		if err := s.Product(t.Context(), "blk.0.ffn_down.weight", n, f, r, c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range k {
		for j := range k {
			want := 0.0
			for p := range n {
				want += 2 * float64(f[p*k+i]) * float64(f[p*k+j])
			}
			if math.Abs(g[i*k+j]-want) > 1e-4 {
				t.Fatalf("g[%d,%d] = %g, want %g", i, j, g[i*k+j], want)
			}
		}
		for j := range d {
			want := 0.0
			for p := range n {
				want += 2 * float64(f[p*k+i]) * float64(r[p*d+j])
			}
			if math.Abs(c[i*d+j]-want) > 1e-4 {
				t.Fatalf("c[%d,%d] = %g, want %g", i, j, c[i*d+j], want)
			}
		}
	}
	if err := s.Product(t.Context(), "nothing", n, f, r, c); err == nil {
		t.Error("a weight that is not there was accepted")
	}
}

func TestSetWeight(t *testing.T) {
	for _, noRepack := range []bool{false, true} {
		m, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{NoMmap: true, NoRepack: noRepack})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s := open(t, m, engine.SessionParams{NSeq: 4, SeqLen: 16})
		batch := scoredSequences(t, m)
		const name = "blk.4.ffn_down.weight"
		_, data, _ := weight(t, name)
		before, removed := eval(t, s, batch, nil)[-1], eval(t, s, batch, mask(t, "ffn:4"))[-1]
		if err := s.SetWeight(name, make([]byte, len(data))); err != nil {
			t.Fatal(err)
		}
		compare(t, "zeroed", eval(t, s, batch, nil)[-1], removed, 0)
		if err := s.SetWeight(name, data); err != nil {
			t.Fatal(err)
		}
		compare(t, "restored", eval(t, s, batch, nil)[-1], before, 0)
		if err := s.SetWeight(name, data[1:]); err == nil {
			t.Error("a weight of another size was accepted")
		}
	}
	s := open(t, load(t), engine.SessionParams{NSeq: 4, SeqLen: 16})
	_, data, _ := weight(t, "blk.4.attn_norm.weight")
	if err := s.SetWeight("blk.4.attn_norm.weight", data); err == nil {
		t.Error("a norm is no weight of a block")
	}
}

func TestFromFloatInvertsToFloat(t *testing.T) {
	w, data, values := weight(t, "blk.0.attn_output.weight")
	got, err := llamabind.FromFloat(uint32(w.Type), values, int(w.Dims[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	back := make([]float32, len(values))
	if err := llamabind.ToFloat(uint32(w.Type), got, back); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(data) {
		t.Fatalf("%d bytes, want %d", len(got), len(data))
	}
	for i := range back {
		if math.Abs(float64(back[i]-values[i])) > 1e-2*math.Abs(float64(values[i]))+1e-3 {
			t.Fatalf("weight %d: %g, want %g", i, back[i], values[i])
		}
	}
	if _, err := llamabind.FromFloat(uint32(w.Type), values[:33], 33, nil); err == nil {
		t.Error("a row that is no multiple of the block was accepted")
	}
}
