package llamabind_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

const tiny = "../testdata/tiny-11m-Q8_0.gguf"

const text = "The old lighthouse stood at the end of the pier. Every evening the keeper climbed the stairs, lit the lamp and " +
	"wrote down the weather in a thick book. Nobody had ever asked to read it, but he wrote carefully all the same."

func load(t *testing.T) *llamabind.Model {
	t.Helper()
	m, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func open(t *testing.T, m *llamabind.Model, p engine.SessionParams) *llamabind.Session {
	t.Helper()
	s, err := m.NewSession(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// sequences cuts the text's tokens into n sequences of length tokens, every position but the last scored.
func sequences(t *testing.T, m *llamabind.Model, lengths ...int) []engine.Sequence {
	t.Helper()
	toks, err := m.Tokenize(text, true, false)
	if err != nil {
		t.Fatal(err)
	}
	var out []engine.Sequence
	for i, n := range lengths {
		q := engine.Sequence{Tokens: slices.Clone(toks[i : i+n])}
		q.Targets = append(slices.Clone(q.Tokens[1:]), engine.Unscored)
		out = append(out, q)
	}
	return out
}

func eval(t *testing.T, s *llamabind.Session, batch []engine.Sequence, removed engine.Mask, cands ...engine.Mask) map[int][][]float64 {
	t.Helper()
	out := map[int][][]float64{}
	err := s.Eval(t.Context(), batch, removed, cands, func(i int, nll [][]float64) error {
		c := make([][]float64, len(nll))
		for j := range nll {
			c[j] = slices.Clone(nll[j])
		}
		out[i] = c
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mask(t *testing.T, s string) engine.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBlocksOfALlama(t *testing.T) {
	s := open(t, load(t), engine.SessionParams{NSeq: 2, SeqLen: 16})
	var want []engine.Block
	for l := range 12 {
		want = append(want, engine.Block{Layer: l, Kind: engine.Mixer}, engine.Block{Layer: l, Kind: engine.FFN})
	}
	if !slices.Equal(s.Blocks(), want) {
		t.Fatalf("blocks %v", s.Blocks())
	}
	got := slices.Sorted(slices.Values(s.Weights(want[6])))
	if w := "blk.3.attn_k.weight blk.3.attn_output.weight blk.3.attn_q.weight blk.3.attn_v.weight"; strings.Join(got, " ") != w {
		t.Errorf("weights of %v: %v", want[6], got)
	}
}

// The NLL in the graph is the fast path, full logits on the host the plain one.
func TestGraphNLLEqualsPlain(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 8, SeqLen: 40})
	batch := sequences(t, m, 40, 40, 40, 40, 40, 40, 40, 40) // more rows than one chunk
	for _, removed := range []string{"", "attn:0,ffn:11", "ffn:3,attn:1-5", "attn:0-11,ffn:0-11"} {
		r := mask(t, removed)
		plain, err := s.EvalPlain(t.Context(), batch, r)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, removed, eval(t, s, batch, r)[-1], plain, 1e-5)
	}
}

func compare(t *testing.T, name string, got, want [][]float64, tol float64) {
	t.Helper()
	worst := 0.0
	for i := range want {
		for j := range want[i] {
			worst = max(worst, math.Abs(got[i][j]-want[i][j]))
		}
	}
	if worst > tol {
		t.Errorf("%s: NLL differs by %g", name, worst)
	}
}

// Starting at a boundary is the fast path, a pass from the embeddings the plain one.
func TestCandidatesEqualFullPasses(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 2, SeqLen: 32})
	batch := sequences(t, m, 32, 32)
	removed := mask(t, "ffn:3,attn:4,ffn:4")
	cands := []engine.Mask{mask(t, "attn:0"), mask(t, "attn:3"), mask(t, "attn:5"), mask(t, "ffn:5"), mask(t, "ffn:11"), mask(t, "attn:7,ffn:7"), mask(t, "ffn:2-8")}
	fast := eval(t, s, batch, removed, cands...)
	compare(t, "base", fast[-1], eval(t, s, batch, removed)[-1], 0)
	for i, c := range cands {
		compare(t, c.String(), fast[i], eval(t, s, batch, removed.Union(c))[-1], 0)
	}
}

func TestIdentityEditEqualsStock(t *testing.T) {
	m := load(t)
	p := engine.SessionParams{NSeq: 2, SeqLen: 32}
	edited := open(t, m, p)
	p.Unedited = true
	stock := open(t, m, p)
	batch := sequences(t, m, 32, 32)
	a := logits(t, edited, batch)
	if b := logits(t, stock, batch); !slices.Equal(a, b) {
		t.Error("an edit that changes nothing changes logits")
	}
	compare(t, "stock Eval", eval(t, stock, batch, nil)[-1], eval(t, edited, batch, nil)[-1], 1e-5)
	if len(stock.Blocks()) != 0 {
		t.Errorf("a stock session has blocks: %v", stock.Blocks())
	}
}

func logits(t *testing.T, s *llamabind.Session, batch []engine.Sequence) []float32 {
	t.Helper()
	var out []float32
	err := s.Logits(t.Context(), batch, nil, func(_, _ int, l []float32) error {
		out = append(out, l...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A sequence's numbers do not depend on what it shares its batch with.
func TestPaddingIsHarmless(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 4, SeqLen: 40})
	batch := sequences(t, m, 40, 7, 23)
	together := eval(t, s, batch, nil)[-1]
	for i, q := range batch {
		if len(together[i]) != len(q.Tokens) {
			t.Fatalf("sequence %d has %d values for %d tokens", i, len(together[i]), len(q.Tokens))
		}
		compare(t, "alone", eval(t, s, []engine.Sequence{q}, nil)[-1], together[i:i+1], 1e-4)
	}
}

func TestBadInput(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 1, SeqLen: 16})
	stock := open(t, m, engine.SessionParams{NSeq: 1, SeqLen: 16, Unedited: true})
	good := sequences(t, m, 16)
	none := func(int, [][]float64) error { return nil }
	unknown := []engine.Sequence{{Tokens: []engine.Token{1 << 20}, Targets: []engine.Token{0}}}
	unscored := []engine.Sequence{{Tokens: []engine.Token{1}, Targets: []engine.Token{engine.Unscored}}}
	kept, err := blockmask.NewIndices([]int{0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	part := engine.Mask{{Block: engine.Block{Layer: 1, Kind: engine.FFN}, Channels: kept}}
	uneven := []engine.Sequence{{Tokens: []engine.Token{1, 2}, Targets: []engine.Token{0}}}
	for name, err := range map[string]error{
		"too long":       s.Eval(t.Context(), sequences(t, m, 17), nil, nil, none),
		"too many":       s.Eval(t.Context(), sequences(t, m, 8, 8), nil, nil, none),
		"no sequence":    s.Eval(t.Context(), nil, nil, nil, none),
		"unknown token":  s.Eval(t.Context(), unknown, nil, nil, none),
		"nothing scored": s.Eval(t.Context(), unscored, nil, nil, none),
		"uneven":         s.Eval(t.Context(), uneven, nil, nil, none),
		"unknown block":  s.Eval(t.Context(), good, mask(t, "attn:12"), nil, none),
		"empty choice":   s.Eval(t.Context(), good, mask(t, "attn:1"), []engine.Mask{mask(t, "attn:1")}, none),
		"a part":         s.Eval(t.Context(), good, part, nil, none),
		"choice of part": s.Eval(t.Context(), good, nil, []engine.Mask{part}, none),
		"stock, part":    stock.Eval(t.Context(), good, part, nil, none),
		"stock, masked":  stock.Eval(t.Context(), good, mask(t, "attn:1"), nil, none),
		"stock, choice":  stock.Eval(t.Context(), good, nil, []engine.Mask{mask(t, "attn:1")}, none),
	} {
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != engine.BadInput || strings.Contains(e.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The session still works after all that.
	if v := eval(t, s, good, nil)[-1][0][3]; !(v > 0) {
		t.Errorf("NLL %v after refused input", v)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, p := range []string{
		filepath.Join(dir, "missing.gguf"), write("empty.gguf", nil), write("text.gguf", []byte("hello, this is no model")),
		write("cut.gguf", whole[:len(whole)/2]), dir,
	} {
		_, err := llamabind.LoadModel(t.Context(), p, engine.ModelParams{})
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != engine.LoadFailed || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", p, err)
		}
	}
	for name, p := range map[string]engine.ModelParams{
		"device": {Devices: []string{"Nope0"}}, "split mode": {SplitMode: "tensor"},
	} {
		_, err := llamabind.LoadModel(t.Context(), tiny, p)
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != engine.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCancel(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 4, SeqLen: 40})
	batch := sequences(t, m, 40, 40, 40, 40)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	var err error
	begin := time.Now()
	for err == nil && time.Since(begin) < 30*time.Second {
		err = s.Eval(ctx, batch, nil, nil, func(int, [][]float64) error { return nil })
	}
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || took > 2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if _, err := m.NewSession(ctx, engine.SessionParams{NSeq: 1, SeqLen: 8}); !errors.Is(err, context.Canceled) {
		t.Errorf("new session: %v", err)
	}
	if _, err := llamabind.LoadModel(ctx, tiny, engine.ModelParams{}); !errors.Is(err, context.Canceled) {
		t.Errorf("load: %v", err)
	}
	// The session is usable again with a live context.
	eval(t, s, batch, nil)
}

func TestYieldErrorEndsEval(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 1, SeqLen: 16})
	stop := errors.New("stop")
	calls := 0
	err := s.Eval(t.Context(), sequences(t, m, 16), nil, []engine.Mask{mask(t, "attn:1"), mask(t, "attn:2")}, func(int, [][]float64) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestTokenizeAndGenerate(t *testing.T) {
	m := load(t)
	toks, err := m.Tokenize(text, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if toks[0] != m.BOS() || !m.AddBOS() {
		t.Errorf("first token %d, BOS %d", toks[0], m.BOS())
	}
	var b strings.Builder
	for _, tok := range toks[1:] {
		b.WriteString(m.Piece(tok, false))
	}
	if got := strings.TrimSpace(b.String()); got != text {
		t.Errorf("round trip: %q", got)
	}
	if m.Piece(-1, true) != "" || m.Piece(1<<30, true) != "" {
		t.Error("a token outside of the vocabulary has a text")
	}
	one, err := m.Generate(t.Context(), "Once upon a time", 12, 2)
	if err != nil {
		t.Fatal(err)
	}
	two, err := m.Generate(t.Context(), "Once upon a time", 12, 2)
	if err != nil || one != two || strings.TrimSpace(one) == "" {
		t.Errorf("generated %q, then %q, %v", one, two, err)
	}
	if _, err := m.Generate(t.Context(), strings.Repeat("word ", 400), 1, 2); err != nil {
		t.Errorf("a long prompt: %v", err)
	}
}

func TestQuantize(t *testing.T) {
	out := filepath.Join(t.TempDir(), "q4.gguf")
	if err := llamabind.Quantize(tiny, out, "Q4_0", 2); err != nil {
		t.Fatal(err)
	}
	m, err := llamabind.LoadModel(t.Context(), out, engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if big := load(t).Info(); m.Info().Size >= big.Size || m.Info().Params != big.Params {
		t.Errorf("quantised: %+v, before: %+v", m.Info(), big)
	}
	var e *engine.Error
	if err := llamabind.Quantize(tiny, out, "Q9", 2); !errors.As(err, &e) || e.Code != engine.BadInput {
		t.Errorf("an unknown type: %v", err)
	}
	if err := llamabind.Quantize(filepath.Join(t.TempDir(), "no.gguf"), out, "Q4_0", 2); err == nil {
		t.Error("a missing file was quantised")
	}
}

func TestDevicesAndVersion(t *testing.T) {
	if d := llamabind.Devices(); len(d) == 0 || !slices.ContainsFunc(d, func(d engine.Device) bool { return d.Type == "cpu" }) {
		t.Errorf("devices %+v", d)
	}
	if v := llamabind.LlamaTag; !strings.Contains(v, "0.5.0") {
		t.Errorf("version %q", v)
	}
}

// The KL divergence over the likeliest tokens is the fast path; full logits of both models on the host the plain one.
func TestKLEqualsPlain(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 2, SeqLen: 32})
	batch := sequences(t, m, 32, 32)
	base, r := logits(t, s, batch), mask(t, "ffn:3,attn:1")
	var pruned []float32
	err := s.Logits(t.Context(), batch, r, func(_, _ int, l []float32) error {
		pruned = append(pruned, l...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := m.Info().NVocab
	for _, k := range []int{n, 512, 8} {
		refs, err := s.TopK(t.Context(), batch, k)
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			batch[i].Ref = refs[i]
		}
		// As a candidate from its boundary, and as a full pass.
		fast := eval(t, s, batch, mask(t, "ffn:3"), mask(t, "attn:1"))[0]
		full := eval(t, s, batch, r)[-1]
		same := eval(t, s, batch, nil)[-1]
		row := 0
		for i, q := range batch {
			for p, target := range q.Targets {
				want := 0.0
				if target >= 0 {
					want = klOf(base[row*n:][:n], pruned[row*n:][:n], refs[i].IDs[(row%31)*k:][:k])
					row++
				}
				if math.Abs(fast[i][p]-want) > 2e-5 || fast[i][p] != full[i][p] || same[i][p] > 2e-6 {
					t.Fatalf("k=%d: sequence %d position %d: %g, full pass %g, plain %g, unpruned %g", k, i, p, fast[i][p], full[i][p], want, same[i][p])
				}
			}
		}
	}
	batch[1].Ref = nil
	if err := s.Eval(t.Context(), batch, nil, nil, func(int, [][]float64) error { return nil }); err == nil {
		t.Error("a batch with one reference missing was taken")
	}
}

// klOf is KL(p || q) over ids and the rest as one outcome, all in double.
func klOf(p, q []float32, ids []engine.Token) float64 {
	lse := func(l []float32) float64 {
		sum := 0.0
		for _, x := range l {
			sum += math.Exp(float64(x))
		}
		return math.Log(sum)
	}
	lp, lq := lse(p), lse(q)
	kl, restP, restQ := 0.0, 1.0, 1.0
	for _, id := range ids {
		a, b := float64(p[id])-lp, float64(q[id])-lq
		kl += math.Exp(a) * (a - b)
		restP -= math.Exp(a)
		restQ -= math.Exp(b)
	}
	if restP > 1e-6 {
		kl += restP * math.Log(restP/restQ)
	}
	return kl
}

func TestCandidatesWithoutBase(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 2, SeqLen: 32})
	batch, removed := sequences(t, m, 32, 32), mask(t, "ffn:3")
	cands := []engine.Mask{mask(t, "attn:0"), mask(t, "ffn:4"), mask(t, "ffn:2,attn:4")}
	want := eval(t, s, batch, removed, cands...)
	calls := 0
	err := s.EvalCandidates(t.Context(), batch, removed, cands, func(i int, nll [][]float64) error {
		calls++
		compare(t, cands[i].String(), nll, want[i], 0)
		return nil
	})
	if err != nil || calls != len(cands) {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// What cosines must satisfy whatever the stream is; `sweep reference` compares the values with PyTorch's.
func TestInfluence(t *testing.T) {
	m := load(t)
	s := open(t, m, engine.SessionParams{NSeq: 2, SeqLen: 32})
	inf, err := s.Influence(t.Context(), sequences(t, m, 32, 32))
	if err != nil {
		t.Fatal(err)
	}
	if len(inf.Blocks) != 24 || len(inf.Layers) != 12 || inf.Positions != 64 {
		t.Fatalf("%d blocks, %d layers, %d positions", len(inf.Blocks), len(inf.Layers), inf.Positions)
	}
	for b, c := range inf.Blocks {
		if !(c > 0 && c < 1) {
			t.Errorf("%v: cosine %v", b, c)
		}
		// Angles add up at most: a layer turns the stream no further than its two blocks together.
		other := engine.Block{Layer: b.Layer, Kind: engine.Mixer}
		if b.Kind == engine.Mixer {
			other.Kind = engine.FFN
		}
		if limit := math.Acos(c) + math.Acos(inf.Blocks[other]) + 0.05; math.Acos(inf.Layers[b.Layer]) > limit {
			t.Errorf("layer %d turns by %v, its blocks by %v", b.Layer, math.Acos(inf.Layers[b.Layer]), limit)
		}
	}
}
