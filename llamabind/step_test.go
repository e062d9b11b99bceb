package llamabind_test

import (
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/selftext"
)

// Token by token, the likeliest one each time, in two sequences that begin at different times and one that is begun again: the text
// of Generate.
func TestStep(t *testing.T) {
	const prompt, n = "Once upon a time", 12
	m := load(t)
	want, err := m.Generate(t.Context(), prompt, n, 2)
	if err != nil {
		t.Fatal(err)
	}
	toks, err := m.Tokenize(prompt, true, true)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, m, engine.SessionParams{NSeq: 2, SeqLen: 64, UBatch: 2, Threads: 2, Unedited: true})
	texts, ran := [2][]engine.Token{}, [2]int{}
	step := func(seqs ...int) {
		var in []engine.Next
		for _, q := range seqs {
			if ran[q] == 0 {
				texts[q] = append(texts[q], toks...)
			}
			in = append(in, engine.Next{Token: texts[q][ran[q]], Seq: q, Pos: ran[q]})
			ran[q]++
		}
		err := s.Step(t.Context(), in, func(i int, logits []float32) error {
			if q := seqs[i]; in[i].Pos+1 >= len(toks) {
				texts[q] = append(texts[q], selftext.Sample(logits, 0, 0))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		step(1)
	}
	texts[1], ran[1] = nil, 0
	for range 5 {
		step(0)
	}
	for range len(toks) + n - 1 {
		step(1, 0)
	}
	for q, text := range texts {
		got := ""
		for _, x := range text[len(toks) : len(toks)+n] {
			got += m.Piece(x, false)
		}
		if got != want {
			t.Errorf("sequence %d: %q, Generate %q", q, got, want)
		}
	}
	for _, bad := range []engine.Next{{Token: -1}, {Token: 1 << 30}, {Seq: 2}, {Seq: -1}, {Pos: 64}, {Pos: -1}} {
		if err := s.Step(t.Context(), []engine.Next{bad}, nil); err == nil {
			t.Errorf("%+v was run", bad)
		}
	}
	if err := s.Step(t.Context(), nil, nil); err == nil {
		t.Error("no tokens were run")
	}
}
