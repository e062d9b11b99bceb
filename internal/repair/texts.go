package repair

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Texts reads what the repair is fitted on. One kind of text alone makes the model worse on others.
func (r Options) Texts(t corpus.Text) ([]*perplexity.Corpus, error) {
	var out []*perplexity.Corpus
	for _, file := range r.Files {
		t.File = file
		c, err := t.Read()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) > 0 {
		return out, nil
	}
	given := t.File
	t.File = ""
	c, err := t.Read()
	if err != nil || given == "" {
		return []*perplexity.Corpus{c}, err
	}
	t.File = given
	own, err := t.Read()
	return []*perplexity.Corpus{own, c}, err
}

// equal gives texts the same share.
func equal(texts []*perplexity.Corpus) []fit.Material {
	var out []fit.Material
	for _, c := range texts {
		out = append(out, fit.Material{Corpus: c, Share: 1 / float64(len(texts))})
	}
	return out
}

// text is the text of a repair, and a session that runs on it. Its owner closes the session.
type text struct {
	materials []fit.Material
	pieces    *fit.Pieces
	session   engine.Session
	runner    engine.BlockRunner
	nSeq      int
}

// open cuts the text of a repair, or of a fit of channels, into pieces, and opens a session for them.
func (q Request) open(ctx context.Context, s *source.Source, channels bool) (*text, error) {
	m := new(text)
	held := fit.Quarter // of which no more is lost in the end: a repair fits all of the text when it has chosen
	var err error
	if channels {
		held = fit.Few
		m.materials, err = q.Materials()
	} else {
		var texts []*perplexity.Corpus
		texts, err = q.Options.Texts(q.Text)
		m.materials = equal(texts)
	}
	if err != nil {
		return nil, err
	}
	length := source.DefaultContext(q.Text.Context, s.Model.Info())
	if err := m.prepare(s, q.Options.Chat, length); err != nil {
		return nil, err
	}
	m.nSeq = max(1, repairBatch/length)
	if m.pieces, err = fit.Cut(s.Model, m.materials, held, length, q.Options.Tokens, m.nSeq, q.Text.Seed); err != nil {
		return nil, err
	}
	if m.session, err = s.Session(ctx, m.nSeq, length); err != nil {
		return nil, err
	}
	var ok bool
	if m.runner, ok = m.session.(engine.BlockRunner); !ok {
		m.session.Close()
		return nil, errors.New("this engine cannot repair")
	}
	if q.Twin != nil {
		m.runner = q.Twin.Runner(m.runner, s)
	}
	return m, nil
}

// prepare puts the user's conversations into the model's chat template, as the model will see them, and leaves built-in texts out that are
// too short for such long sequences.
func (m *text) prepare(s *source.Source, chat calibrate.Chat, length int) (err error) {
	for i, c := range m.materials {
		if c.Name == corpus.BuiltIn { // is for models of all kinds
			continue
		}
		m.materials[i].Corpus = calibrate.InTemplate(s, chat, c.Corpus)
	}
	m.materials, err = fit.Enough(s.Model, m.materials, length)
	return err
}

// kinds are those of a fit; nil where it has not told them apart.
func (m *text) kinds(res *fit.Result) (out []plan.Kind) {
	for i, k := range res.Kinds {
		n := 0
		for _, of := range m.pieces.HeldOf {
			if of == i {
				n++
			}
		}
		out = append(out, plan.Kind{Name: m.materials[i].Name, Sequences: n, Before: math.Exp(k.Before), After: math.Exp(k.After)})
	}
	return out
}

// DescribeTexts names what was fitted on.
func DescribeTexts(texts []*perplexity.Corpus, tokens int) string {
	return describe(equal(texts), tokens)
}

func describe(all []fit.Material, tokens int) string {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	text := strings.Join(names, ", ")
	if last := len(names) - 1; last > 0 {
		text = strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return fmt.Sprintf("%s: %d tokens", text, tokens)
}

// userShare of a fit of channels is the user's own text.
const userShare = 0.5

// Materials are what a fit of channels sees, with their shares. It spoils what it does not see, so half of it is text of many kinds
// unless the user names the files.
func (q Request) Materials() ([]fit.Material, error) {
	t := q.Text
	if len(q.Options.Files) > 0 {
		texts, err := q.Options.Texts(t)
		return equal(texts), err
	}
	var out []fit.Material
	left := 1.0
	if t.File != "" {
		own, err := t.Read()
		if err != nil {
			return nil, err
		}
		out = append(out, fit.Material{Corpus: own, Share: userShare})
		left -= userShare
	}
	if q.Own != nil && len(q.Own.Documents) > 0 {
		out = append(out, fit.Material{Corpus: q.Own, Share: left * ownShare})
		left *= 1 - ownShare
	}
	for _, k := range corpus.Kinds() {
		c, err := k.Read()
		if err != nil {
			return nil, err
		}
		out = append(out, fit.Material{Corpus: c, Share: left * k.Share, Optional: true})
	}
	return out, nil
}
