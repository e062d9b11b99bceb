package corpus

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/ggufprune/ggufprune/perplexity"
)

//go:embed data/kinds/*.jsonl
var kindFiles embed.FS

// Kind is one kind of text that a fit is to see, so that a model does not forget it.
type Kind struct {
	Name  string
	Share float64 // of all kinds together

	file string
}

// kinds are in the order in which tables list them. The first is the calibration corpus: instructions with answers, and a little of
// everything. Problems are worked ones: numbers, reasoning step by step, short tasks for an assistant.
var kinds = []Kind{
	{BuiltIn, 0.20, ""},
	{"problems", 0.20, "problems"},
	{"encyclopaedia", 0.25, "encyclopaedia"},
	{"prose", 0.12, "prose"},
	{"dialogue", 0.05, "dialogue"},
	{"code", 0.08, "code"},
	{"lists", 0.04, "lists"},
	{"languages", 0.06, "languages"},
}

// Kinds returns the kinds of text that come with the program for fits. Their shares add up to 1.
func Kinds() []Kind { return kinds }

// Read reads the kind's text.
func (k Kind) Read() (*perplexity.Corpus, error) {
	if k.file == "" {
		return Text{}.Read()
	}
	data, err := kindFiles.ReadFile("data/kinds/" + k.file + ".jsonl")
	if err != nil {
		return nil, fmt.Errorf("built-in text %s: %w", k.Name, err)
	}
	return perplexity.Read(bytes.NewReader(data), "built-in "+k.Name, perplexity.Auto)
}
