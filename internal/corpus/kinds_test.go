package corpus

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// The kinds are several times the calibration corpus, and none repeats a passage of another or of the held-out text.
func TestKinds(t *testing.T) {
	t.Parallel()
	share, bytes := 0.0, 0
	seen := map[string]string{}
	for _, p := range passages(HeldOut()) {
		seen[p] = "held-out text"
	}
	for _, k := range Kinds() {
		c, err := k.Read()
		if err != nil {
			t.Fatal(err)
		}
		share += k.Share
		text := c.Text()
		bytes += len(text)
		if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%s is not clean UTF-8", k.Name)
		}
		for _, p := range passages([]byte(text)) {
			if other := seen[p]; other != "" && other != k.Name {
				t.Errorf("%s and %s both have %q", k.Name, other, p)
			}
			seen[p] = k.Name
		}
	}
	if math.Abs(share-1) > 1e-9 {
		t.Errorf("the shares add up to %v", share)
	}
	if bytes < 3*len(Calibration()) {
		t.Errorf("%d bytes in all, the calibration corpus has %d", bytes, len(Calibration()))
	}
}

// passages are the longer lines of a text.
func passages(text []byte) (out []string) {
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSpace(line); len(line) > 60 {
			out = append(out, line)
		}
	}
	return out
}

// What is asked comes from two kinds of text in turns, without its answers.
func TestQuestions(t *testing.T) {
	t.Parallel()
	questions, err := Questions()
	if err != nil {
		t.Fatal(err)
	}
	if len(questions) < 300 {
		t.Errorf("%d questions", len(questions))
	}
	seen := map[string]bool{}
	for _, q := range questions {
		if strings.TrimSpace(q) == "" || strings.Contains(q, "### Response") || seen[q] {
			t.Errorf("%q is empty, has its answer in it, or comes twice", q)
		}
		seen[q] = true
	}
}
