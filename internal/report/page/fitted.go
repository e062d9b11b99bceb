package page

import (
	"fmt"
	"math"
	"strconv"
)

// heldBack is the perplexity on what was held back of the fit's text, and what kinds of it lose.
type heldBack struct {
	before, after float64
	least, most   float64 // ratios, by kind
	unseen        float64 // the largest of a kind that the fit has not seen; 0: none was looked at
}

// heldBack is nil where the plan does not have it for what was removed.
func (in Input) heldBack() *heldBack {
	if in.steps() < len(in.Plan.Steps) {
		return nil
	}
	var before, after, n float64
	h := &heldBack{least: math.Inf(1)}
	for _, k := range in.Plan.Kinds {
		if k.Unseen {
			h.unseen = max(h.unseen, k.Ratio())
			continue
		}
		w := float64(k.Sequences)
		before, after, n = before+w*math.Log(k.Before), after+w*math.Log(k.After), n+w
		h.least, h.most = min(h.least, k.Ratio()), max(h.most, k.Ratio())
	}
	if n == 0 {
		return nil
	}
	h.before, h.after = math.Exp(before/n), math.Exp(after/n)
	return h
}

func (h *heldBack) text() string {
	out := fmt.Sprintf("%s, was %s, on text held back from the fit; by kind ×%.2f to ×%.2f", scoreText(h.after, false), scoreText(h.before, false), h.least, h.most)
	if h.unseen > 0 {
		out += fmt.Sprintf(", and up to ×%.2f on text that the fit has not seen", h.unseen)
	}
	return out
}

// fittedTables are what the plan says of the fits that narrowed FFNs: the shapes that were tried, and what kinds of text lost.
func (in Input) fittedTables() (out []Table) {
	p := in.Plan
	if in.steps() < len(p.Steps) {
		return nil // they are of all steps together
	}
	if len(p.Shapes) > 1 {
		t := Table{
			Title: "Shapes tried", Caption: "each fitted on a part of the text, and judged on another part", Columns: []string{"an FFN keeps", "parameters gone", "perplexity", "KLD"},
			Note: "The one with a star was taken.",
		}
		for _, s := range p.Shapes {
			kld := ""
			if s.KLD > 0 {
				kld = fmt.Sprintf("%.3f", s.KLD)
			}
			name := clean(s.Name)
			if s.Chosen {
				name += " *"
			}
			t.Rows = append(t.Rows, Row{name, []string{clean(s.Keeps), percent(s.Ratio), fmt.Sprintf("×%.3f", math.Exp(s.Loss)), kld}})
		}
		out = append(out, t)
	}
	if len(p.Kinds) > 0 {
		t := Table{
			Title: "Kinds of text", Caption: "perplexity on what was held back of each from the fit", Columns: []string{"before", "after", "ratio"},
			Note: "A fit spoils what it does not see: text of a kind that is not here may lose more.",
		}
		for _, k := range p.Kinds {
			t.Rows = append(t.Rows, Row{clean(k.Describe()), []string{scoreText(k.Before, false), scoreText(k.After, false), fmt.Sprintf("×%.3f", k.Ratio())}})
		}
		out = append(out, t)
	}
	if len(p.Tasks) > 0 {
		t := Table{Title: "Accuracy", Caption: "on the tasks that were given", Columns: []string{"items", "before", "after"}}
		for _, k := range p.Tasks {
			t.Rows = append(t.Rows, Row{clean(k.Name), []string{strconv.Itoa(k.Items), percent(k.Before), percent(k.After)}})
		}
		out = append(out, t)
	}
	return out
}
