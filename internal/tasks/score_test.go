package tasks

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/engine"
)

// words makes one token of each word, with the space in front of it; a full stop is one too. Tokens are numbered as they come.
type words struct {
	ids    map[string]engine.Token
	addBOS bool
}

func newWords() *words { return &words{ids: map[string]engine.Token{"<s>": 0}, addBOS: true} }

func (w *words) Tokenize(text string, special, _ bool) ([]engine.Token, error) {
	var out []engine.Token
	if special && w.addBOS {
		out = append(out, 0)
	}
	for _, f := range strings.Fields(strings.ReplaceAll(text, ".", " .")) {
		if _, ok := w.ids[f]; !ok {
			w.ids[f] = engine.Token(len(w.ids))
		}
		out = append(out, w.ids[f])
	}
	return out, nil
}

func (w *words) BOS() engine.Token { return 0 }
func (w *words) AddBOS() bool      { return w.addBOS }
func (w *words) AddEOS() bool      { return false }

// text prints a sequence: each scored prediction as what is seen of the text -> the target.
func (w *words) text(s engine.Sequence) []string {
	names := map[engine.Token]string{}
	for name, id := range w.ids {
		names[id] = name
	}
	var seen, out []string
	for i, id := range s.Tokens {
		seen = append(seen, names[id])
		if s.Targets[i] >= 0 {
			out = append(out, strings.Join(seen, " ")+" -> "+names[s.Targets[i]])
		}
	}
	return out
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, data string
		nCtx             int
		want             [][]string // of each choice
		divisors         []float64
		truncated        int
	}{
		{
			name: "the harness: behind the prompt", file: PIQA, data: `{"goal":"To dry","sol1":"big sun","sol2":"big","label":1}`,
			want:     [][]string{{"<s> Question: To dry Answer: -> big", "<s> Question: To dry Answer: big -> sun"}, {"<s> Question: To dry Answer: -> big"}},
			divisors: []float64{7, 3},
		},
		{
			name: "the harness: too long", file: PIQA, data: `{"goal":"To dry","sol1":"big sun","sol2":"big","label":1}`, nCtx: 2,
			want:     [][]string{{"Answer: -> big", "Answer: big -> sun"}, {"dry Answer: -> big"}},
			divisors: []float64{7, 3}, truncated: 1,
		},
		{
			name: "WinoGrande in the harness", file: WinoGrande, data: `{"sentence":"So _ left.","option1":"A B","option2":"C","answer":"2"}`,
			want:     [][]string{{"<s> So A B -> left", "<s> So A B left -> ."}, {"<s> So C -> left", "<s> So C left -> ."}},
			divisors: []float64{0, 0},
		},
		{
			name: "llama.cpp's HellaSwag: behind what is common", file: HellaSwag, data: "So it\n0\nis red now\nis red\nis blue\nis big\n",
			want: [][]string{
				{"<s> So it is -> red", "<s> So it is red -> now"}, {"<s> So it is -> red"}, {"<s> So it is -> blue"}, {"<s> So it is -> big"},
			},
			divisors: []float64{2, 1, 1, 1},
		},
		{
			name: "a choice with which all others begin", file: HellaSwag, data: "So\n0\nit\nit is\nit was\nit\n",
			want: [][]string{
				{"<s> So -> it"}, {"<s> So -> it", "<s> So it -> is"}, {"<s> So -> it", "<s> So it -> was"}, {"<s> So -> it"},
			},
			divisors: []float64{1, 2, 2, 1},
		},
		{
			name: "llama.cpp's WinoGrande, much behind the blank: without the choices and the last token", file: WinoGrande,
			data: "0,So _ went far home.,A,B C,2",
			want: [][]string{
				{"<s> So A -> went", "<s> So A went -> far", "<s> So A went far -> home"},
				{"<s> So B C -> went", "<s> So B C went -> far", "<s> So B C went far -> home"},
			},
			divisors: []float64{3, 3},
		},
		{
			name: "and little behind it: with the choices; the second choice is predicted at the end of the first", file: WinoGrande,
			data: "0,So left _.,A,B C,2",
			want: [][]string{
				{"<s> So left -> A"},
				{"<s> So left A . -> B", "<s> So left B -> C"},
			},
			divisors: []float64{1, 2},
		},
	} {
		tok := newWords()
		task, err := Parse(c.file, []byte(c.data))
		if err != nil {
			t.Fatal(err)
		}
		p, err := task.Prepare(tok, c.nCtx)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var got [][]string
		var divisors []float64
		for _, part := range p.parts[0] {
			var lines []string
			for _, s := range part.seqs {
				lines = append(lines, tok.text(p.Sequences[s])...)
			}
			got, divisors = append(got, lines), append(divisors, part.divisor)
		}
		if d := cmp.Diff(c.want, got); d != "" || !slices.Equal(divisors, c.divisors) || p.Truncated != c.truncated {
			t.Errorf("%s: divisors %v, truncated %d (-want +got):\n%s", c.name, divisors, p.Truncated, d)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	task, err := Parse(PIQA, []byte(`{"goal":"To dry","sol1":"a b c d","sol2":"e","label":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Prepare(newWords(), 3); err == nil || err.Error() != "item 1 of piqa: a choice of 4 tokens does not fit the context of 3; raise -c" {
		t.Errorf("a choice longer than the context: %v", err)
	}
	if p, err := task.Prepare(newWords(), 4); err != nil || p.Truncated != 1 {
		t.Errorf("a choice as long as the context: %v", err)
	}
	task, err = Parse(PIQA, []byte(`{"goal":"To dry","sol1":"","sol2":"e","label":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Prepare(newWords(), 0); err == nil {
		t.Error("a choice without a token is accepted")
	}
}

func TestScore(t *testing.T) {
	t.Parallel()
	task, err := Parse(PIQA, []byte(`{"goal":"x","sol1":"ten chars!","sol2":"two","label":0} {"goal":"y","sol1":"a","sol2":"b","label":1}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := task.Prepare(newWords(), 0)
	if err != nil {
		t.Fatal(err)
	}
	// The first item's right choice costs more in all and less for each character; the second's are equal, so the first is taken.
	r := p.Score([]float64{5, 2, 3, 3})
	if r.Correct != 0 || r.CorrectNorm != 1 || r.Accuracy != 0 || r.Norm != 0.5 || r.Answers[0].Normalised[0] != -0.5 {
		t.Errorf("%+v", r)
	}
	if acc, _ := r.Headline(); acc != 0.5 {
		t.Errorf("headline %v", acc)
	}
	if r := p.Score([]float64{math.Inf(1), math.Inf(1), 4, 3}); r.Correct != 2 {
		t.Errorf("a model without finite logits: %+v", r)
	}
	task, err = Parse(WinoGrande, []byte("0,So _ left.,A,B,2"))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = task.Prepare(newWords(), 0); err != nil {
		t.Fatal(err)
	}
	if r := p.Score(make([]float64, len(p.Sequences))); r.CorrectNorm != 1 {
		t.Errorf("llama-perplexity takes the second of equals: %+v", r)
	}
}

func TestWilson(t *testing.T) {
	t.Parallel()
	// None and all in closed form: z²/(n+z²) and n/(n+z²). 3 of 20 as llama-perplexity prints it.
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 5, 0, 3.8414588 / 8.8414588}, {3, 20, 0.052369, 0.360419}, {20, 20, 20 / 23.8414588, 1}, {0, 0, 0, 1}} {
		if w := Wilson(c.k, c.n); math.Abs(w.Low-c.low) > 1e-6 || math.Abs(w.High-c.high) > 1e-6 {
			t.Errorf("%d of %d: %v", c.k, c.n, w)
		}
	}
}

// The mean's interval holds the mean, lies in [0, 1], and is the task's own where there is one task.
func TestMean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p []float64
		var of []Interval
		for range rapid.IntRange(1, 6).Draw(t, "tasks") {
			n := rapid.IntRange(1, 500).Draw(t, "n")
			k := rapid.IntRange(0, n).Draw(t, "k")
			p, of = append(p, float64(k)/float64(n)), append(of, Wilson(k, n))
		}
		m, i := Mean(p, of)
		const eps = 1e-12
		if i.Low > m+eps || i.High < m-eps || i.Low < -eps || i.High > 1+eps {
			t.Fatalf("%v: mean %v, %v", p, m, i)
		}
		if len(p) == 1 && (math.Abs(i.Low-of[0].Low) > eps || math.Abs(i.High-of[0].High) > eps) {
			t.Fatalf("one task: %v, its own %v", i, of[0])
		}
	})
}

// The C++ standard ([rand.predef]) gives the 10000th number of std::mt19937 with its default seed.
func TestMersenne(t *testing.T) {
	t.Parallel()
	m := newMersenne(5489)
	for range 9999 {
		m.next()
	}
	if n := m.next(); n != 4123659995 {
		t.Errorf("number 10000 is %d", n)
	}
}

// A draw takes as many items as asked for, each once; internal/peertest holds which ones.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"hellaswag.txt", "winogrande.csv", "multiple-choice.bin"} {
		name, _, _ := strings.Cut(file, ".")
		for _, n := range []int{0, 1, 7, 20, 1000} {
			task, err := ReadFile(name, folder+file)
			if err != nil {
				t.Fatal(err)
			}
			all := len(task.Items)
			task.Draw(n)
			seen := map[int]bool{}
			for _, it := range task.Items {
				seen[it.Place] = true
			}
			want := min(n, all)
			if n == 0 {
				want = all
			}
			if len(seen) != want || len(task.Items) != want {
				t.Errorf("%s: %d of %d drawn, want %d", file, len(task.Items), all, want)
			}
			if task.First(3); len(task.Items) != min(3, want) {
				t.Errorf("%s: %d are the first 3", file, len(task.Items))
			}
		}
	}
}
