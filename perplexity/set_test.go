package perplexity

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/engine"
)

func text(n int) *Corpus {
	var b strings.Builder
	for i := range n {
		b.WriteByte(byte('a' + i%26))
	}
	return &Corpus{Name: "t", Documents: []string{b.String()}, Continuous: true}
}

func docs(d ...string) *Corpus { return &Corpus{Name: "d", Documents: d} }

func mustSet(t *testing.T, c Convention, corpus *Corpus, tok engine.Tokenizer, o SetOptions) *Set {
	t.Helper()
	s, err := NewSet(c, corpus, tok, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The windows of llama-perplexity, written down by hand for 8 tokens: BOS replaces the first token of each window, positions
// 4, 5 and 6 are scored, and the text's own BOS counts as a token of the stream.
func TestWindows(t *testing.T) {
	t.Parallel()
	s := mustSet(t, Windows, text(20), withBOSTok, SetOptions{Context: 8})
	if len(s.Sequences) != 2 {
		t.Fatalf("%d windows of 21 tokens, want 2", len(s.Sequences))
	}
	a := engine.Token('a') + 100
	want := []engine.Sequence{
		{Tokens: []engine.Token{1, a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6}, Targets: []engine.Token{-1, -1, -1, -1, a + 4, a + 5, a + 6, -1}},
		{Tokens: []engine.Token{1, a + 8, a + 9, a + 10, a + 11, a + 12, a + 13, a + 14}, Targets: []engine.Token{-1, -1, -1, -1, a + 12, a + 13, a + 14, -1}},
	}
	for i, w := range want {
		if got := s.Sequences[i]; !slices.Equal(got.Tokens, w.Tokens) || !slices.Equal(got.Targets, w.Targets) {
			t.Errorf("window %d = %v, want %v", i, got, w)
		}
	}
	if s.Scored() != 6 || s.Tokens() != 16 || s.Longest() != 8 {
		t.Errorf("scored %d, tokens %d, longest %d", s.Scored(), s.Tokens(), s.Longest())
	}
}

func TestWindowsWithoutBOSKeepTheText(t *testing.T) {
	t.Parallel()
	s := mustSet(t, Windows, text(16), byteTokenizer{}, SetOptions{Context: 8})
	if got := s.Sequences[1].Tokens[0]; got != engine.Token('i')+100 {
		t.Errorf("second window starts with %d", got)
	}
	// An odd context: first = n/2 rounded down, last = n-2.
	s = mustSet(t, Windows, text(16), byteTokenizer{}, SetOptions{Context: 7, Max: 1})
	if got := s.Scored(); got != 3 || len(s.Sequences) != 1 {
		t.Errorf("context 7: %d scored in %d windows, want 3 in 1", got, len(s.Sequences))
	}
}

func TestWindowsJoinDocuments(t *testing.T) {
	t.Parallel()
	s := mustSet(t, Windows, docs("abcdef", "ghijkl"), byteTokenizer{}, SetOptions{Context: 6})
	var got []byte
	for _, seq := range s.Sequences {
		for _, tok := range seq.Tokens {
			got = append(got, byte(tok-100))
		}
	}
	if string(got) != "abcdef\n\nghij" {
		t.Errorf("windows hold %q", got)
	}
}

func TestSamplesOfDocuments(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	s := mustSet(t, Samples, docs(long, "", "abc"), withBOSTok, SetOptions{Context: 64})
	if len(s.Sequences) != 2 || s.Cut != 1 || s.Skipped != 1 {
		t.Fatalf("%d sequences, %d cut, %d skipped", len(s.Sequences), s.Cut, s.Skipped)
	}
	a := engine.Token('a') + 100
	if got := s.Sequences[1]; !slices.Equal(got.Tokens, []engine.Token{1, a, a + 1, a + 2}) || !slices.Equal(got.Targets, []engine.Token{a, a + 1, a + 2, -1}) {
		t.Errorf("second sample = %v", got)
	}
	if n := len(s.Sequences[0].Tokens); n != 64 {
		t.Errorf("first sample has %d tokens, want 64", n)
	}
	if got := s.Sequences[0].Scored(); got != 63 {
		t.Errorf("first sample scores %d, want 63", got)
	}
}

// Plain text: consecutive pieces, each led by BOS, the remainder dropped.
func TestSamplesOfText(t *testing.T) {
	t.Parallel()
	s := mustSet(t, Samples, text(100), withBOSTok, SetOptions{Context: 32})
	if len(s.Sequences) != 3 {
		t.Fatalf("%d sequences of 31 text tokens out of 100", len(s.Sequences))
	}
	for i, seq := range s.Sequences {
		if len(seq.Tokens) != 32 || seq.Tokens[0] != 1 || seq.Tokens[1] != engine.Token('a'+i*31%26)+100 {
			t.Errorf("sequence %d = %v", i, seq.Tokens)
		}
	}
	if s := mustSet(t, Samples, text(40), withBOSTok, SetOptions{Context: 512}); len(s.Sequences) != 1 || len(s.Sequences[0].Tokens) != 41 {
		t.Errorf("a short text gave %v", s.Sequences)
	}
}

func TestMaxAndSeed(t *testing.T) {
	t.Parallel()
	var d []string
	for i := range 40 {
		d = append(d, strings.Repeat(string(rune('A'+i)), 20))
	}
	first := func(s *Set) string {
		var b strings.Builder
		for _, seq := range s.Sequences {
			b.WriteRune(rune(seq.Tokens[1] - 100))
		}
		return b.String()
	}
	o := SetOptions{Context: 32, Max: 5}
	if got := first(mustSet(t, Samples, docs(d...), withBOSTok, o)); got != "ABCDE" {
		t.Errorf("seed 0 took %q", got)
	}
	o.Seed = 7
	got := first(mustSet(t, Samples, docs(d...), withBOSTok, o))
	if again := first(mustSet(t, Samples, docs(d...), withBOSTok, o)); again != got {
		t.Errorf("seed 7 took %q, then %q", got, again)
	}
	if !slices.IsSorted([]byte(got)) || len(got) != 5 || got == "ABCDE" {
		t.Errorf("seed 7 took %q: want 5 others in order", got)
	}
	o.Seed = 8
	if other := first(mustSet(t, Samples, docs(d...), withBOSTok, o)); other == got {
		t.Errorf("seeds 7 and 8 both took %q", got)
	}
	// Empty documents do not count against Max.
	o = SetOptions{Context: 32, Max: 2}
	if got := first(mustSet(t, Samples, docs("", d[0], "", d[1], d[2]), withBOSTok, o)); got != "AB" {
		t.Errorf("among empty documents took %q", got)
	}
	if s := mustSet(t, Samples, text(1000), withBOSTok, SetOptions{Context: 32, Max: 4, Seed: 3}); len(s.Sequences) != 4 {
		t.Errorf("text gave %d of 4 sequences", len(s.Sequences))
	}
}

func TestNewSetErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		c    Convention
		d    *Corpus
		tok  engine.Tokenizer
		ctx  int
		want string
	}{
		{"short for windows", Windows, text(10), withBOSTok, 8, "it has 11 tokens, windows of 8 need at least 16"},
		{"short for samples", Samples, text(10), withBOSTok, 8, "at least 32 are needed"},
		{"only blank documents", Samples, docs("", ""), withBOSTok, 8, "it has 0 tokens to predict"},
		{"tiny context", Samples, text(100), withBOSTok, 3, "at least 4"},
		{"negative context", Windows, text(100), withBOSTok, -1, "at least 4"},
		{"unknown convention", "words", text(100), withBOSTok, 8, "unknown convention"},
		{"EOS", Windows, text(100), byteTokenizer{addEOS: true}, 8, "use samples"},
		{"tokenizer, windows", Windows, docs("!"), withBOSTok, 8, "tokenize d"},
		{"tokenizer, text", Samples, &Corpus{Name: "d", Documents: []string{"!"}, Continuous: true}, withBOSTok, 8, "tokenize d"},
		{"tokenizer, documents", Samples, docs("a", "!"), withBOSTok, 8, "tokenize document 2 of d"},
	} {
		_, err := NewSet(tt.c, tt.d, tt.tok, SetOptions{Context: tt.ctx, Max: -1})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if strings.HasPrefix(tt.name, "short") && !errors.Is(err, ErrTooShort) {
			t.Errorf("%s: %v is no ErrTooShort", tt.name, err)
		}
	}
}

// A model that asks for BOS but has none gets none, as in llama.cpp.
func TestBOSNeedsAToken(t *testing.T) {
	t.Parallel()
	s := mustSet(t, Samples, text(40), byteTokenizer{addBOS: true}, SetOptions{Context: 40})
	if got := s.Sequences[0].Tokens[0]; got != engine.Token('a')+100 {
		t.Errorf("first token is %d", got)
	}
}

func TestSHA256(t *testing.T) {
	t.Parallel()
	o := SetOptions{Context: 32}
	base := mustSet(t, Samples, text(100), withBOSTok, o)
	renamed := mustSet(t, Samples, &Corpus{Name: "other", Documents: text(100).Documents, Continuous: true}, withBOSTok, o)
	if base.SHA256() != renamed.SHA256() {
		t.Error("the corpus's name changed the hash")
	}
	seen := map[string]string{base.SHA256(): "base"}
	for name, s := range map[string]*Set{
		"windows": mustSet(t, Windows, text(100), withBOSTok, o),
		"fewer":   mustSet(t, Samples, text(100), withBOSTok, SetOptions{Context: 32, Max: 2}),
		"context": mustSet(t, Samples, text(100), withBOSTok, SetOptions{Context: 33}),
		"targets": {Convention: Samples, Sequences: []engine.Sequence{predictNext(base.Sequences[0].Tokens, 2), base.Sequences[1], base.Sequences[2]}},
	} {
		if twin, ok := seen[s.SHA256()]; ok {
			t.Errorf("%s and %s have one hash", name, twin)
		}
		seen[s.SHA256()] = name
	}
	if d := base.Describe(); !strings.Contains(d, "3 sequences, 96 tokens") || !strings.Contains(d, "samples") {
		t.Errorf("Describe = %q", d)
	}
}

func TestParseConvention(t *testing.T) {
	t.Parallel()
	if c, err := ParseConvention("Windows"); err != nil || c != Windows {
		t.Errorf("Windows: %v, %v", c, err)
	}
	if _, err := ParseConvention("strided"); err == nil || !strings.Contains(err.Error(), "samples") {
		t.Errorf("strided: %v", err)
	}
}

// Every sequence starts with BOS where there is one, fits the context, and predicts only tokens that follow in the text.
func TestSequencesAreWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := text(rapid.IntRange(80, 400).Draw(t, "tokens"))
		if rapid.Bool().Draw(t, "documents") {
			c = docs(rapid.SliceOfN(rapid.StringMatching("[a-z]{0,60}"), 40, 60).Draw(t, "docs")...)
		}
		tok := byteTokenizer{bos: true, addBOS: rapid.Bool().Draw(t, "bos")}
		conv := rapid.SampledFrom([]Convention{Samples, Windows}).Draw(t, "convention")
		o := SetOptions{
			Context: rapid.IntRange(4, 40).Draw(t, "context"),
			Max:     rapid.IntRange(0, 20).Draw(t, "max"),
			Seed:    uint64(rapid.IntRange(0, 3).Draw(t, "seed")),
		}
		s, err := NewSet(conv, c, tok, o)
		if errors.Is(err, ErrTooShort) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.Max > 0 && len(s.Sequences) > o.Max {
			t.Fatalf("%d sequences, at most %d asked for", len(s.Sequences), o.Max)
		}
		for _, seq := range s.Sequences {
			if len(seq.Tokens) > o.Context || len(seq.Tokens) != len(seq.Targets) || seq.Scored() == 0 {
				t.Fatalf("bad sequence %v", seq)
			}
			if tok.addBOS != (seq.Tokens[0] == 1) {
				t.Fatalf("BOS wanted %v: %v", tok.addBOS, seq.Tokens)
			}
			for i, target := range seq.Targets {
				if target >= 0 && target != seq.Tokens[i+1] {
					t.Fatalf("position %d predicts %d: %v", i, target, seq)
				}
			}
		}
	})
}
