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
// everything. Problems are worked ones: numbers, and reasoning step by step. What an assistant does is told apart, too.
var kinds = []Kind{
	{BuiltIn, 0.13, ""},
	{"problems", 0.24, "problems"},
	{"assistant", 0.22, "assistant"},
	{"encyclopaedia", 0.21, "encyclopaedia"},
	{"prose", 0.07, "prose"},
	{"dialogue", 0.03, "dialogue"},
	{"code", 0.05, "code"},
	{"lists", 0.02, "lists"},
	{"languages", 0.03, "languages"},
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
