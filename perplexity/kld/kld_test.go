package kld

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/engine"
)

// expf is within 0.502 of the last place of the true value, and monotone at its ends.
func TestExpf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float32Range(-87, 88).Draw(t, "x")
		want := math.Exp(float64(x))
		got := expf(x)
		place := float64(math.Nextafter32(got, float32(math.Inf(1)))) - float64(got)
		if off := math.Abs(float64(got)-want) / place; off > 0.5025 {
			t.Fatalf("expf(%v) = %v, off by %.4f places", x, got, off)
		}
	})
	inf := float32(math.Inf(1))
	for _, c := range []struct{ x, want float32 }{{0, 1}, {inf, inf}, {-inf, 0}, {-200, 0}, {200, inf}, {1, 2.7182817}} {
		if got := expf(c.x); got != c.want {
			t.Errorf("expf(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if x := expf(float32(math.NaN())); x == x {
		t.Errorf("expf(NaN) = %v", x)
	}
}

func genRow(t *rapid.T, vocab int, name string) []float32 {
	return rapid.SliceOfN(rapid.Float32Range(-30, 30), vocab, vocab).Draw(t, name)
}

// A quantised row holds each log-probability to half of its scale, down to the end of its range.
func TestQuantizedRow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		vocab := rapid.IntRange(2, 40).Draw(t, "vocab")
		logits := genRow(t, vocab, "logits")
		raw := quantizeRow(nil, logits)
		if len(raw) != 2*rowWords(vocab) {
			t.Fatalf("%d bytes, want %d", len(raw), 2*rowWords(vocab))
		}
		q := parseRow(raw, vocab)
		top, lse := logits[0], 0.0
		for _, l := range logits {
			top = max(top, l)
			lse += math.Exp(float64(l))
		}
		lse = math.Log(lse)
		for i, l := range logits {
			want := max(float64(l), float64(top)-logitRange) - lse
			if got := float64(q.logProb(engine.Token(i))); math.Abs(got-want) > float64(q.scale)/2+1e-5 {
				t.Fatalf("token %d: log-probability %v, want %v (scale %v)", i, got, want, q.scale)
			}
		}
	})
	flat := parseRow(quantizeRow(nil, []float32{3, 3, 3}), 3)
	if got := flat.logProb(1); math.Abs(float64(got)+math.Log(3)) > 1e-6 {
		t.Errorf("a flat row gives %v", got)
	}
}

// exampleBase writes a base file of random logits, and returns them.
func exampleBase(t *rapid.T, shape BaseShape) (file []byte, windows [][][]float32) {
	var b bytes.Buffer
	w, err := NewBaseWriter(&b, shape)
	if err != nil {
		t.Fatal(err)
	}
	for range shape.Windows() {
		var rows [][]float32
		for range shape.Rows() {
			rows = append(rows, genRow(t, shape.Vocab, "row"))
		}
		if err := w.Window(rows); err != nil {
			t.Fatal(err)
		}
		windows = append(windows, rows)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), windows
}

func genShape(t *rapid.T) BaseShape {
	s := BaseShape{Context: rapid.IntRange(4, 9).Draw(t, "n_ctx"), Vocab: rapid.IntRange(2, 7).Draw(t, "n_vocab")}
	n := s.Context * rapid.IntRange(1, 3).Draw(t, "windows")
	s.Tokens = rapid.SliceOfN(rapid.Int32Range(0, int32(s.Vocab-1)), n, n).Draw(t, "tokens")
	return s
}

// The statistics are those of the definitions, in double precision and without quantising, but for rounding.
func TestMeterAgainstDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shape := genShape(t)
		file, base := exampleBase(t, shape)
		r, err := OpenBase(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if shape.Bytes() != int64(len(file)) {
			t.Fatalf("the file has %d bytes, its shape %d", len(file), shape.Bytes())
		}
		m := NewMeter(r)
		var nll, kld, dp, n, same, tied float64
		for w := range base {
			// The other model is the same with noise: at most 12 nats lie between its tokens.
			other := make([][]float32, shape.Rows())
			for i, row := range base[w] {
				other[i] = make([]float32, shape.Vocab)
				for v := range row {
					base[w][i][v] = row[v] // as written
					other[i][v] = row[v]/5 + rapid.Float32Range(-1, 1).Draw(t, "noise")
				}
				p, q := softmax(clampRow(base[w][i])), softmax(other[i])
				target := shape.Tokens[w*shape.Context+shape.Context/2+i+1]
				nll -= math.Log(q[target])
				for v := range p {
					kld += p[v] * math.Log(p[v]/q[v])
				}
				dp += q[target] - p[target]
				if argmax(p) == argmax(q) {
					same++
				}
				if topGap(base[w][i]) < quantStep {
					tied++
				}
				n++
			}
			if err := m.Window(other); err != nil {
				t.Fatal(err)
			}
		}
		k := m.Report()
		for _, c := range []struct {
			name            string
			got, want, much float64
		}{
			{"ln PPL", math.Log(k.PPL.Value), nll / n, 1e-5},
			{"KLD", k.KLD.Value, kld / n, 2e-3},
			{"change of p", k.DeltaP.Value, dp / n, 1e-3},
		} {
			if math.Abs(c.got-c.want) > c.much*max(1, math.Abs(c.want)) {
				t.Fatalf("%s: %v, want %v", c.name, c.got, c.want)
			}
		}
		// Two tokens less than a step of quantising apart may change places.
		if k.Positions != int(n) || math.Abs(k.SameTop.Value-same/n) > (tied+0.5)/n {
			t.Fatalf("%d positions, same top %v, want %v, %v", k.Positions, k.SameTop.Value, n, same/n)
		}
	})
}

// quantStep is what rows are quantised in, at most.
const quantStep = logitRange / 65535.0

// topGap is how far the two likeliest tokens are apart.
func topGap(row []float32) float64 {
	sorted := slices.Sorted(slices.Values(row))
	return float64(sorted[len(sorted)-1]) - float64(sorted[len(sorted)-2])
}

// clampRow is what a base file keeps of a row: nothing is more than logitRange below the top.
func clampRow(row []float32) []float32 {
	top := row[0]
	for _, l := range row {
		top = max(top, l)
	}
	out := make([]float32, len(row))
	for i, l := range row {
		out[i] = max(l, top-logitRange)
	}
	return out
}

func softmax(row []float32) []float64 {
	sum, p := 0.0, make([]float64, len(row))
	for i, l := range row {
		p[i] = math.Exp(float64(l))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func argmax(p []float64) int {
	best := 0
	for i := range p {
		if p[i] > p[best] {
			best = i
		}
	}
	return best
}

// A damaged file is an error, whatever is wrong with it, and never a panic or a large allocation.
func TestDamagedBase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shape := genShape(t)
		file, _ := exampleBase(t, shape)
		cut := rapid.IntRange(0, len(file)-1).Draw(t, "cut")
		if _, err := OpenBase(bytes.NewReader(file[:cut]), int64(cut)); err == nil {
			t.Fatalf("%d of %d bytes are no error", cut, len(file))
		}
		longer := append(bytes.Clone(file), 0)
		if _, err := OpenBase(bytes.NewReader(longer), int64(len(longer))); err == nil {
			t.Fatal("a longer file is no error")
		}
		word := rapid.IntRange(2, 4).Draw(t, "word") // n_ctx, n_vocab, n_chunk
		value := rapid.Uint32().Draw(t, "value")
		if value == binary.LittleEndian.Uint32(file[4*word:]) {
			return
		}
		bad := bytes.Clone(file)
		binary.LittleEndian.PutUint32(bad[4*word:], value)
		// Another header can describe a file of the same size; then its tokens or its rows are read as such.
		if b, err := OpenBase(bytes.NewReader(bad), int64(len(bad))); err == nil && b.Bytes() != int64(len(bad)) {
			t.Fatalf("n %d set to %d: accepted as %d bytes, it has %d", word, value, b.Bytes(), len(bad))
		}
	})
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"another file":  {[]byte("GGUF and more than twenty bytes"), "no base file"},
		"bad token":     {baseWithToken(7), "token 1 is 7"},
		"negative size": {append([]byte(baseMagic), 4, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255), "damaged"},
	} {
		_, err := OpenBase(bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// baseWithToken is a file of one window whose second token is t.
func baseWithToken(t engine.Token) []byte {
	var b bytes.Buffer
	w, err := NewBaseWriter(&b, BaseShape{Context: 4, Vocab: 2, Tokens: []engine.Token{0, t, 1, 0}})
	if err == nil {
		err = w.Window([][]float32{{1, 2}})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// A writer takes exactly the windows that its header tells of.
func TestBaseWriterCounts(t *testing.T) {
	t.Parallel()
	w, err := NewBaseWriter(new(bytes.Buffer), BaseShape{Context: 4, Vocab: 2, Tokens: make([]engine.Token, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("a file without its window is no error")
	}
	if err := w.Window([][]float32{{1, 2}, {1, 2}}); err == nil {
		t.Error("too many rows are no error")
	}
	if err := w.Window([][]float32{{1, 2}}); err != nil {
		t.Error(err)
	}
	if err := w.Window([][]float32{{1, 2}}); err == nil {
		t.Error("too many windows are no error")
	}
}

// Quantiles by llama-perplexity's rules, worked out by hand.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	q := quantiles([]float32{5, 1, 3, 2})
	if q.Min != 1 || q.Max != 5 || q.Median != 2.5 || q.P75 != 3.5 || q.P25 != 1.75 {
		t.Errorf("%+v", q)
	}
	if q := quantiles([]float32{3, 1, 2}); q.Median != 2 || q.P90 != float64(float32(0.2)*2+float32(0.8)*3) && math.Abs(q.P90-2.8) > 1e-6 {
		t.Errorf("%+v", q)
	}
	if q := quantiles(nil); q != (Quantiles{}) {
		t.Errorf("of nothing: %+v", q)
	}
}

// Logits that are no numbers give a report that says so.
func TestMeterNotFinite(t *testing.T) {
	t.Parallel()
	file := baseWithToken(1)
	r, err := OpenBase(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMeter(r)
	if err := m.Window([][]float32{{float32(math.NaN()), 1}}); err != nil {
		t.Fatal(err)
	}
	if k := m.Report(); k.Finite() {
		t.Errorf("finite: %+v", k)
	}
}

// Of ten positions, as in llama-perplexity, no error is known.
func TestErrorOfFewPositions(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]float64{1: math.NaN(), 10: math.NaN(), 11: 0.1} {
		sum := float64(n)
		got := meanOf(sum, sum+0.1*0.1*sum*float64(n-1), n)
		if got.Value != 1 || math.Abs(got.StdErr-want) > 1e-12 || math.IsNaN(got.StdErr) != math.IsNaN(want) {
			t.Errorf("%d positions: %+v, want an error of %v", n, got, want)
		}
	}
	if got := meanOf(11, 11, 11); got.StdErr != 0 {
		t.Errorf("the same at each position: %+v", got)
	}
}
