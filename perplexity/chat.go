package perplexity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// Conversations returns the number of documents that are conversations or instructions, which [Corpus.Chat] renders.
func (c *Corpus) Conversations() int {
	n := 0
	for _, turns := range c.Turns {
		if turns != nil {
			n++
		}
	}
	return n
}

// Chat returns the corpus with its conversations and instructions rendered by render, a model's chat template, instead of the form
// that [Read] gives them; other documents stay as they are. Conversations that render refuses, or of which it leaves out a message, are
// left out: refused says how many, and why the first. In what was rendered the names of special tokens mean these tokens, as in
// llama.cpp's own chats.
func (c *Corpus) Chat(render func([]engine.Message) (string, error)) (out *Corpus, refused int, why error) {
	out = &Corpus{Name: c.Name, Continuous: c.Continuous}
	for i, doc := range c.Documents {
		special := i < len(c.Turns) && c.Turns[i] != nil
		if special {
			text, err := render(c.Turns[i])
			if err == nil {
				err = holds(text, c.Turns[i])
			}
			if err != nil {
				if refused++; why == nil {
					why = err
				}
				continue
			}
			doc = text
		}
		out.Documents, out.special = append(out.Documents, doc), append(out.special, special)
	}
	return out, refused, why
}

// holds returns an error if a message is not in its rendering. A template may leave out white space, what a reply begins with
// as thoughts, and the system's text; one that leaves out more is none for these messages.
func holds(text string, turns []engine.Message) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("the template renders it to nothing")
	}
	for _, m := range turns {
		words := m.Content
		if m.Role == "assistant" {
			if i := strings.LastIndex(words, "</think>"); i >= 0 {
				words = words[i+len("</think>"):]
			}
		}
		if m.Role != "system" && !strings.Contains(text, strings.TrimSpace(words)) {
			return fmt.Errorf("the template leaves out what the %s says", m.Role)
		}
	}
	return nil
}

// Special returns a corpus of documents in which the names of special tokens mean these tokens, such as texts that a model
// wrote itself.
func Special(name string, documents []string) *Corpus {
	return &Corpus{Name: name, Documents: documents, special: slices.Repeat([]bool{true}, len(documents))}
}

// parsesSpecial reports whether names of special tokens in document i mean these tokens.
func (c *Corpus) parsesSpecial(i int) bool { return i < len(c.special) && c.special[i] }

// AllSpecial reports whether they do in all documents.
func (c *Corpus) AllSpecial() bool {
	return len(c.special) == len(c.Documents) && !slices.Contains(c.special, false)
}
