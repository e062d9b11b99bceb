package selftext

import (
	"context"
	"errors"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

const (
	cells    = 8192 // most tokens in the cache at once: documents that are written side by side, times their length
	parallel = 32   // most of them
)

// Texts has a model write documents as o says, but for Parallel and Ends, which it sets itself; without Documents, as many as Total
// takes. p is what sessions have but for their size.
func Texts(ctx context.Context, m engine.Model, p engine.SessionParams, o Options, done func(tokens int)) ([]string, error) {
	o.Ends = m.EOG
	if o.Documents == 0 {
		o.Documents = o.Total/minWritten + 1
	}
	o.Parallel = min(o.Documents, parallel, max(1, cells/o.Tokens))
	p.NSeq, p.SeqLen, p.UBatch, p.Unedited = o.Parallel, o.Tokens, o.Parallel, true
	session, err := m.NewSession(ctx, p)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	stepper, ok := session.(engine.Stepper)
	if !ok {
		return nil, errors.New("this engine cannot write text; give one with -f")
	}
	written, err := Write(ctx, stepper, o, done)
	if err != nil {
		return nil, err
	}
	first, _ := Beginning(m)
	texts := make([]string, len(written))
	for i, tokens := range written {
		texts[i] = spell(m, first, tokens)
	}
	return texts, nil
}

// endOfText is what separated the documents of which many models without BOS were made.
const endOfText = "<|endoftext|>"

// Beginning is the token that a text of the model's training began with: BOS, where the model puts it there, or the one that ended the text
// before.
func Beginning(m engine.Model) (first engine.Token, ok bool) {
	if first = m.BOS(); first >= 0 && m.AddBOS() {
		return first, true
	}
	if end, err := m.Tokenize(endOfText, false, true); err == nil && len(end) == 1 && m.EOG(end[0]) {
		return end[0], true
	}
	if first < 0 {
		first = m.EOS()
	}
	return first, first >= 0
}

// spell returns the text of tokens, with the names of special ones, less the one that only began the text.
func spell(m engine.Model, first engine.Token, tokens []engine.Token) string {
	if len(tokens) > 0 && (tokens[0] == first || tokens[0] == m.BOS()) {
		tokens = tokens[1:]
	}
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(m.Piece(t, true))
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// Excerpt is the beginning of a text on one line.
func Excerpt(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
