package measure

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/perplexity"
)

// ReadTexts reads texts whose paths are separated by commas, each as one document.
func ReadTexts(paths string) ([]*perplexity.Corpus, error) {
	var out []*perplexity.Corpus
	for path := range strings.SplitSeq(paths, ",") {
		c, err := perplexity.ReadFile(path, perplexity.Auto)
		if err != nil {
			return nil, err
		}
		out = append(out, &perplexity.Corpus{Name: path, Documents: []string{c.Text()}, Continuous: true})
	}
	return out, nil
}

// pieceBytes is about how long the pieces of several texts are that a search scores on.
const pieceBytes = 1500

// Calibration is a file with what a search scores on: the text itself, or, of several separated by commas, pieces of all in turn, which are
// written to path.
func Calibration(paths, path string) (string, error) {
	if !strings.Contains(paths, ",") {
		return paths, nil
	}
	texts, err := ReadTexts(paths)
	if err != nil {
		return "", err
	}
	var all [][]string
	for _, c := range texts {
		all = append(all, pieces(c.Text(), pieceBytes))
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	e := json.NewEncoder(f)
	for _, piece := range turns(all) {
		if err := e.Encode(map[string]string{"text": piece}); err != nil {
			f.Close()
			return "", err
		}
	}
	return path, f.Close()
}

// pieces cuts a text at ends of lines, as soon as a piece has size bytes.
func pieces(text string, size int) (out []string) {
	var b strings.Builder
	flush := func() {
		if piece := strings.TrimSpace(b.String()); piece != "" {
			out = append(out, piece)
		}
		b.Reset()
	}
	for line := range strings.Lines(text) {
		if b.WriteString(line); b.Len() >= size {
			flush()
		}
	}
	flush()
	return out
}

// turns takes one of each list after the other, until all are empty.
func turns(all [][]string) (out []string) {
	for i := 0; ; i++ {
		n := len(out)
		for _, list := range all {
			if i < len(list) {
				out = append(out, list[i])
			}
		}
		if len(out) == n {
			return out
		}
	}
}
