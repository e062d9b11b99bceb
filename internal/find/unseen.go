package find

import (
	"context"
	"errors"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// What is looked at of each kind of text that a fit does not see: enough to tell a model that was spoilt.
const (
	unseenSequences = 4
	unseenLength    = 256 // tokens of each, at most
)

// unseen is a kind of text that the fit does not see.
type unseen struct {
	set    *perplexity.Set
	before float64 // perplexity of the whole model
}

// unseen measures the whole model on the kinds of text that come with the program, where the user's texts take their place in the fit.
func (f *finder) unseen(ctx context.Context) (out []unseen, err error) {
	if len(f.Repair.Files) == 0 {
		return nil, nil
	}
	for _, k := range corpus.Kinds() {
		c, err := k.Read()
		if err != nil {
			return nil, err
		}
		set, err := perplexity.NewSet(perplexity.Samples, c, f.src.Model, perplexity.SetOptions{
			Context: min(unseenLength, f.set.Longest()), Max: unseenSequences, Seed: 1,
		})
		if errors.Is(err, perplexity.ErrTooShort) {
			continue
		}
		if err != nil {
			return nil, err
		}
		u := unseen{set: set}
		u.before, err = f.pplOn(ctx, set, nil, "whole model on other text")
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // what is only told must not end the job
			f.sink.Warnf("%s, which the fit does not see: %v", set.Corpus, err)
			continue
		}
		out = append(out, u)
	}
	return out, nil
}

// kindsOf measures the narrowed model, without removed, on them.
func (f *finder) kindsOf(ctx context.Context, removed blockmask.Mask, all []unseen) (out []plan.Kind, err error) {
	for _, u := range all {
		after, err := f.pplOn(ctx, u.set, removed, "narrowed model on other text")
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // the fit is made: what is only told must not end the job
			f.sink.Warnf("%s, which the fit has not seen: %v", u.set.Corpus, err)
			continue
		}
		out = append(out, plan.Kind{Name: u.set.Corpus, Sequences: len(u.set.Sequences), Before: u.before, After: after, Unseen: true})
	}
	return out, nil
}

// narrowText is how much more than the others a kind of text may lose before the user is told, as a factor of perplexity.
const narrowText = 1.25

// foreign is the perplexity of the whole model from which it does not know a kind of text, so that a loss there is none.
const foreign = 1000

// extremes are the kinds that lose the least and the most, of those that the model knows and that are of the fit or not.
func extremes(kinds []plan.Kind, unseen bool) (best, worst plan.Kind, ok bool) {
	for _, k := range kinds {
		if k.Unseen != unseen || k.Before > foreign {
			continue
		}
		if !ok || k.Ratio() < best.Ratio() {
			best = k
		}
		if !ok || k.Ratio() > worst.Ratio() {
			worst = k
		}
		ok = true
	}
	return best, worst, ok
}

// warnKinds tells where one kind of text loses much more than another.
func (f *finder) warnKinds(kinds []plan.Kind) {
	if text := spoilt(kinds); text != "" {
		f.sink.Warnf("%s", text)
	}
}

// spoilt says which kind of text loses much more than another, and what helps; "" where none does.
func spoilt(kinds []plan.Kind) string {
	best, worst, ok := extremes(kinds, false)
	if !ok {
		return ""
	}
	says := func(what string, worst plan.Kind, helps string) string {
		return fmt.Sprintf("%s much more (perplexity x%.2f) than %s (x%.2f); %s", what, worst.Ratio(), best.Name, best.Ratio(), helps)
	}
	if _, other, ok := extremes(kinds, true); ok && other.Ratio() > narrowText*best.Ratio() {
		return says(other.Name+", which the fit has not seen, loses", other, "with -f in place of --repair-text half of the fit is text of many kinds")
	}
	if worst.Ratio() > narrowText*best.Ratio() {
		return says(worst.Name+" loses", worst, "more text like it in the fit helps (--repair-text)")
	}
	return ""
}
