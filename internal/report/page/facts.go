package page

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// factGroup is a part of the provenance.
type factGroup struct {
	Name  string
	Facts []fact
}

type fact struct{ Name, Value string }

// add appends a fact, unless it says nothing.
func (g *factGroup) add(name, value string) {
	if value != "" {
		g.Facts = append(g.Facts, fact{name, clean(value)})
	}
}

// facts are everything that identifies what the report is made from.
func (in Input) facts() []factGroup {
	groups := []factGroup{in.sourceFacts()}
	if in.Pruned != nil {
		groups = append(groups, in.prunedFacts())
	}
	groups = append(groups, in.calibrationFacts(), in.searchFacts())
	return groups
}

func (in Input) sourceFacts() factGroup {
	m := in.Plan.Model
	g := factGroup{Name: "Original model"}
	if in.Source != nil {
		g.add("name", in.Source.Meta.Name)
	}
	g.add("file", m.Path)
	g.add("SHA-256", m.SHA256)
	g.add("architecture", m.Arch)
	g.add("parameters", fmt.Sprintf("%s (%d)", format.Count(m.Params), m.Params))
	g.add("size", fmt.Sprintf("%s (%d bytes)", format.Size(m.Size), m.Size))
	g.add("blocks", fmt.Sprintf("%d: %s", len(m.Blocks), m.Blocks))
	if in.Source != nil {
		g.add("quantisation", in.Source.Meta.Quantization)
		g.add("author", in.Source.Meta.Author)
		g.add("licence", in.Source.Meta.License)
		g.add("repository", in.Source.Meta.Repository)
	}
	return g
}

func (in Input) prunedFacts() factGroup {
	m, g := in.Pruned, factGroup{Name: "Pruned model"}
	g.add("name", m.Meta.Name)
	g.add("file", m.Path)
	g.add("SHA-256", m.SHA256)
	g.add("layout", m.Layout)
	g.add("parameters", fmt.Sprintf("%s (%d)", format.Count(m.Params), m.Params))
	g.add("size", fmt.Sprintf("%s (%d bytes)", format.Size(m.Bytes), m.Bytes))
	g.add("removed", in.Plan.Mask(in.steps()).String())
	if r := m.Repair; r != nil {
		g.add("repaired", repairText(r, in.narrowed().FFNs > 0))
		g.add("repair fitted on", r.Text)
	}
	if c := in.Check; c != nil {
		found := "identical log-probabilities"
		if c.MaxAbsDiff > 0 {
			found = fmt.Sprintf("log-probabilities differ by at most %.2g, NMSE %.2g", c.MaxAbsDiff, c.NMSE)
		}
		g.add("check", fmt.Sprintf("passed: %s over %d positions, written file against the original with these blocks left out", found, c.Positions))
		g.add("perplexity in the check", withError("%.4f", c.Written, c.StdErr)+fmt.Sprintf(" written, %.4f masked original", c.Masked))
		g.add("text of the check", fmt.Sprintf("%s, convention %s, context %d, %d sequences", c.Text, c.Convention, c.Context, c.Sequences))
	}
	return g
}

// repairText says what a repair changed, and what that gave. Where FFNs lost channels, what was before is the model with all of them.
func repairText(r *Repair, narrow bool) string {
	text := plural(r.Tensors, "output projection") + " re-fitted"
	if len(r.Types) > 0 {
		text += ", raised to " + strings.Join(r.Types, " and ")
	}
	if r.Before > 0 && r.After > 0 && narrow {
		text += fmt.Sprintf("; on text held back from the fit perplexity %.4f, with all channels %.4f", r.After, r.Before)
	} else if r.Before > 0 && r.After > 0 {
		text += fmt.Sprintf("; on text held back from the fit perplexity %.4f, was %.4f", r.After, r.Before)
	}
	return text
}

func (in Input) calibrationFacts() factGroup {
	c, g := in.Plan.Calibration, factGroup{Name: "Calibration"}
	g.add("text", c.Description)
	g.add("SHA-256 of the tokens", c.TokensSHA256)
	g.add("convention", c.Convention)
	g.add("context", fmt.Sprintf("%d tokens", c.Context))
	g.add("sequences", fmt.Sprintf("%d, %d tokens", c.Sequences, c.Tokens))
	if n := in.Plan.Settings.Sequences; n > 0 {
		g.add("used", fmt.Sprintf("%d sequences, as many as fitted into --time", n))
	}
	return g
}

func (in Input) searchFacts() factGroup {
	p, g := in.Plan, factGroup{Name: "Search"}
	s := p.Settings
	g.add("strategy", s.Strategy)
	g.add("a step removes", string(s.Unit))
	g.add("metric", p.Metric)
	g.add("goal", goalText(s.Goal))
	g.add("seed", fmt.Sprint(s.Seed))
	if s.Confidence > 0 {
		g.add("racing", fmt.Sprintf("confidence %g, tolerance %g, finalists %d, audit every %d", s.Confidence, s.Tolerance, s.Finalists, s.AuditEvery))
	}
	cost, paper := 0.0, 0.0
	for _, st := range p.Steps {
		cost, paper = cost+st.Cost, paper+st.PaperCost
	}
	if cost > 0 && paper > 0 {
		g.add("cost", fmt.Sprintf("%.3g block-tokens, %.0f%% of the paper's procedure", cost, 100*cost/paper))
	}
	if a := p.Audit; a != nil && a.Audits > 0 {
		g.add("audit", fmt.Sprintf("of %s, racing would have missed the best block in %d", plural(a.Audits, "audited step"), a.Missed+a.Lost))
	}
	if r := p.Refine; r != nil {
		g.add("refinement", fmt.Sprintf("%s in %s; on the half of the text that no decision used %s",
			plural(r.Accepted, "exchange"), plural(r.Generations, "generation"), change(isKLD(p), r.StartValidation, r.Validation)))
	}
	g.add("program", p.Tool)
	g.add("llama.cpp", p.LlamaCpp)
	g.add("plan", in.PlanPath)
	return g
}

// goalText writes a goal as its field in the plan.
func goalText(goal any) string {
	text, err := json.Marshal(goal)
	if err != nil {
		return ""
	}
	var fields map[string]json.Number
	if json.Unmarshal(text, &fields) != nil {
		return ""
	}
	for name, v := range fields { // a goal has one field
		return fmt.Sprintf("%s %s", name, v)
	}
	return ""
}
