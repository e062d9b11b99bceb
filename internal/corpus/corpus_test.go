package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// document is one line of the calibration corpus in either of its two forms.
type document struct {
	Text        string `json:"text"`
	Instruction string `json:"instruction"`
	Input       string `json:"input"`
	Output      string `json:"output"`
}

func (d document) alpaca() bool { return d.Instruction != "" }

// content is everything of d that a model reads.
func (d document) content() string {
	if d.alpaca() {
		return d.Instruction + "\n" + d.Input + "\n" + d.Output
	}
	return d.Text
}

// documents decodes the calibration corpus strictly: an unknown key is an error, as a reader would drop its text.
func documents(t *testing.T) []document {
	t.Helper()
	var docs []document
	for i, line := range strings.Split(strings.TrimSuffix(string(Calibration()), "\n"), "\n") {
		var d document
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		docs = append(docs, d)
	}
	return docs
}

func TestSizes(t *testing.T) {
	t.Parallel()
	if n := len(Calibration()); n < 75_000 || n > 92_000 {
		t.Errorf("calibration corpus has %d bytes, want 75 to 92 thousand", n)
	}
	if n := len(HeldOut()); n < 20_000 || n > 24_000 {
		t.Errorf("held-out text has %d bytes, want 20 to 24 thousand", n)
	}
	docs := documents(t)
	if n := len(docs); n < 110 || n > 150 {
		t.Errorf("%d documents, want 110 to 150", n)
	}
	total := 0
	for i, d := range docs {
		n := len(d.content())
		total += n
		if n < 100 || n > 1500 {
			t.Errorf("document %d has %d bytes, want 100 to 1500: %.40q", i+1, n, d.content())
		}
	}
	if total < 75_000 {
		t.Errorf("the documents hold %d bytes of text, want at least 75 thousand", total)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{"calibration": Calibration(), "held-out": HeldOut()} {
		if !utf8.Valid(text) {
			t.Errorf("%s text is not valid UTF-8", name)
		}
		if bytes.ContainsRune(text, utf8.RuneError) || bytes.ContainsRune(text, '\uFEFF') {
			t.Errorf("%s text has a replacement character or a byte order mark", name)
		}
		if bytes.ContainsRune(text, '\r') || !bytes.HasSuffix(text, []byte("\n")) {
			t.Errorf("%s text must have Unix line ends and end in one", name)
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	alpaca := 0
	for i, d := range documents(t) {
		if d.alpaca() == (d.Text != "") || d.alpaca() != (d.Output != "") {
			t.Errorf("document %d is neither {text} nor {instruction, input, output}: %+v", i+1, d)
		}
		for _, s := range []string{d.Text, d.Instruction, d.Input, d.Output} {
			if s != strings.TrimSpace(s) {
				t.Errorf("document %d begins or ends in white space: %.40q", i+1, s)
			}
		}
		if d.alpaca() {
			alpaca++
		}
	}
	if alpaca < 40 {
		t.Errorf("%d documents in Alpaca form, want at least 40", alpaca)
	}
}

// TestPrefixIsMixed holds the corpus to its promise that any stretch of it has every kind: a run that stops after the
// first few thousand tokens must not have calibrated on English prose alone.
func TestPrefixIsMixed(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	const window = 24
	for at := 0; at+window <= len(docs); at++ {
		var plain, alpaca, foreign, code int
		for _, d := range docs[at : at+window] {
			switch text := d.content(); {
			case d.alpaca():
				alpaca++
			case isCode(text):
				code++
			case nonASCIILetters(text) > 5:
				foreign++
			default:
				plain++
			}
		}
		if plain < 5 || alpaca < 4 || foreign < 1 || code < 1 {
			t.Errorf("documents %d to %d: %d plain, %d instructions, %d foreign, %d code", at+1, at+window, plain, alpaca, foreign, code)
		}
	}
}

// isCode tells whether at least a fifth of the lines end like lines of a program or mark-up.
func isCode(text string) bool {
	lines := strings.Split(text, "\n")
	n := 0
	for _, l := range lines {
		if l = strings.TrimRight(l, " "); l != "" && strings.ContainsRune("{};>)=", rune(l[len(l)-1])) || strings.HasPrefix(l, "  ") {
			n++
		}
	}
	return len(lines) > 8 && n*5 >= len(lines)
}

func nonASCIILetters(text string) int {
	n := 0
	for _, r := range text {
		if r > unicode.MaxASCII && unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	scripts := map[string]*unicode.RangeTable{
		"Cyrillic": unicode.Cyrillic, "Han": unicode.Han, "Hiragana": unicode.Hiragana, "Katakana": unicode.Katakana,
	}
	words := map[string]string{
		"French": " est ", "German": " und ", "Spanish": " los ", "Italian": " che ", "Portuguese": "uma ", "Dutch": " een ",
	}
	for name, text := range map[string]string{"calibration": string(Calibration()), "held-out": string(HeldOut())} {
		for script, table := range scripts {
			if !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(table, r) }) {
				t.Errorf("%s text has no %s", name, script)
			}
		}
		for lang, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%s text has no %s: %q not found", name, lang, word)
			}
		}
	}
}

// shingles calls yield with every run of size characters of text, white space squeezed.
func shingles(text string, size int, yield func(string)) {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	for i := 0; i+size <= len(runes); i++ {
		yield(string(runes[i : i+size]))
	}
}

// TestNoRepetition guards the measurement: a passage that occurs twice is nearly free to predict the second time, and
// a passage shared with the held-out text would make that text a part of the calibration.
func TestNoRepetition(t *testing.T) {
	t.Parallel()
	const size = 50
	seen := map[string]string{}
	var repeated []string
	add := func(where, text string) {
		shingles(text, size, func(s string) {
			if first, ok := seen[s]; ok && (first != where || where == "held-out") {
				repeated = append(repeated, fmt.Sprintf("%s and %s: %q", first, where, s))
			}
			seen[s] = where
		})
	}
	for i, d := range documents(t) {
		add(fmt.Sprintf("document %d", i+1), d.content())
	}
	if len(seen) < 60_000 {
		t.Fatalf("only %d distinct shingles: the corpus repeats itself or was not read", len(seen))
	}
	add("held-out", string(HeldOut()))
	if len(repeated) > 0 {
		t.Errorf("%d passages of %d characters occur twice, the first in %s", len(repeated), size, repeated[0])
	}
}

// TestCallerOwnsBytes: a caller that edits what it got must not change what the next one gets.
func TestCallerOwnsBytes(t *testing.T) {
	t.Parallel()
	for name, get := range map[string]func() []byte{"Calibration": Calibration, "HeldOut": HeldOut} {
		got := get()
		want := string(got)
		clear(got)
		if string(get()) != want {
			t.Errorf("%s returns bytes that are shared between callers", name)
		}
	}
}
