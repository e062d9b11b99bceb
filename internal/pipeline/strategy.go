package pipeline

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// Strategies lists the names of the strategies that a search can follow, the default first.
func Strategies() []string { return []string{"greedy", "fast", "oneshot", "random"} }

// strategy returns the strategy of that name on l.
func strategy(name string, l *search.Ledger, seed uint64) (search.Strategy, error) {
	switch name {
	case "", "greedy":
		return search.Greedy{Scorer: l}, nil
	case "fast":
		return search.NewFast(l, seed), nil
	case "oneshot":
		return search.Oneshot(l), nil
	case "random":
		return search.Random(l, seed), nil
	}
	return nil, fmt.Errorf("unknown strategy %q; use one of %v", name, Strategies())
}

// settings records what s decided by.
func settings(s search.Strategy, unit blockmask.Unit, goal search.Goal, seed uint64) search.Settings {
	out := search.Settings{Strategy: s.Name(), Unit: unit, Goal: goal, Seed: seed}
	if f, ok := s.(*search.Fast); ok {
		out.Confidence, out.Tolerance, out.Finalists = f.Rule.Confidence, f.Rule.Tolerance, f.Rule.Finalists
		out.Admit, out.AuditEvery = f.Admit, f.AuditEvery
	}
	return out
}

// cost is what running the source costs, in blocks. The head's part is that of its weights: it is the same on every machine,
// so that two runs of a search end with the same plan.
func (s *Source) cost(blocks []layout.Block) search.Cost {
	c := search.Cost{Blocks: plainBlocks(blocks)}
	all := BlockWeights(s.File, blocks, blockmask.New(c.Blocks...)).Params
	for _, name := range []string{"output.weight", "token_embd.weight"} {
		if t, ok := s.File.Tensor(name); ok && all > 0 {
			c.Head = float64(t.Elements()) * float64(len(c.Blocks)) / float64(all)
			break
		}
	}
	return c
}

// journalPath is where the measurements of the search for a plan are kept until it is done.
func journalPath(plan string) string { return plan + ".journal" }

// openJournal opens the journal beside the job's plan; nil without a plan. What an earlier run of the same search measured is
// found there.
func (s *Source) openJournal(j Job, set *perplexity.Set, rep Reporter) (*search.Journal, error) {
	if j.Plan == "" {
		return nil, nil
	}
	hash, err := s.SHA256()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(struct {
		Strategy string         `json:"strategy"`
		Unit     blockmask.Unit `json:"kind"`
		Goal     search.Goal    `json:"goal"`
		Seed     uint64         `json:"seed"`
		Batch    int            `json:"batch"`
		Flash    string         `json:"flash_attn"`
	}{slices.Concat([]string{j.Strategy}, Strategies())[0], j.Unit, j.Goal, j.Text.Seed, j.Text.Batch, j.Runtime.FlashAttn})
	if err != nil {
		return nil, err
	}
	journal, err := search.OpenJournal(journalPath(j.Plan), search.Header{
		ModelSHA256: hash, TokensSHA256: set.SHA256(), Config: config, Tool: j.Tool, LlamaCpp: llamabind.Version(),
	})
	if err != nil {
		return nil, err
	}
	if n := journal.Found(); n > 0 {
		rep.Notef("resumed from %s: %d measurements are there", filepath.Base(journalPath(j.Plan)), n)
	}
	return journal, nil
}
