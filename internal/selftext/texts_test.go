package selftext

import (
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

// vocabulary is that of a model: BOS is 1, EOS 2, and 9 the end of a text, unless something is missing.
type vocabulary struct {
	engine.Model
	noBOS, noEOS, addsBOS, endOfText bool
}

func (v vocabulary) BOS() engine.Token {
	if v.noBOS {
		return -1
	}
	return 1
}

func (v vocabulary) EOS() engine.Token {
	if v.noEOS {
		return -1
	}
	return 2
}

func (v vocabulary) AddBOS() bool                        { return v.addsBOS }
func (v vocabulary) EOG(t engine.Token) bool             { return t == 2 || t == 9 }
func (v vocabulary) Piece(t engine.Token, _ bool) string { return string(rune('a' + t)) }

func (v vocabulary) Tokenize(string, bool, bool) ([]engine.Token, error) {
	if v.endOfText {
		return []engine.Token{9}, nil
	}
	return []engine.Token{3, 4}, nil
}

// A text begins as those of the training did: with BOS if the model puts it there, else with what ended the text before.
func TestBeginning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model vocabulary
		want  engine.Token
	}{
		{vocabulary{addsBOS: true, endOfText: true}, 1},
		{vocabulary{endOfText: true}, 9},
		{vocabulary{}, 1},
		{vocabulary{noBOS: true}, 2},
		{vocabulary{noBOS: true, noEOS: true}, -1},
	} {
		if got, ok := Beginning(c.model); got != c.want || ok != (c.want >= 0) {
			t.Errorf("%+v: %d, %v", c.model, got, ok)
		}
	}
}

// A written text has no BOS in front, which tokenising puts there again, nor what it began with.
func TestSpell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first engine.Token
		in    []engine.Token
		want  string
	}{{1, []engine.Token{1, 5, 1, 6}, "fbg"}, {9, []engine.Token{9, 5}, "f"}, {9, []engine.Token{1, 5}, "f"}, {9, []engine.Token{5, 9}, "fj"}, {9, nil, ""}} {
		if got := spell(vocabulary{}, c.first, c.in); got != c.want {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
}

// Where tokens are counted, no more documents are begun than may be needed, and they are the first ones of an endless row.
func TestTotal(t *testing.T) {
	t.Parallel()
	o := Options{Documents: 100, Tokens: 40, Parallel: 4, Temperature: 1, Seed: 5, Frames: [][][]engine.Token{{{1}}}, Total: 150}
	got, err := write(t, new(fake), o)
	if err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for i, d := range got {
		if tokens >= o.Total {
			t.Errorf("document %d is one too many", i)
		}
		tokens += len(d) - 1
	}
	if tokens < o.Total || len(got) == o.Documents {
		t.Errorf("%d documents with %d tokens", len(got), tokens)
	}
	o.Documents = 2
	if got, err = write(t, new(fake), o); err != nil || len(got) != 2 {
		t.Errorf("%d documents, %v", len(got), err)
	}
}
