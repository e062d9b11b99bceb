package find

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// JournalPath is where the measurements of the search for a plan are kept until it is done.
func JournalPath(plan string) string { return plan + ".journal" }

// openJournal opens the journal beside the job's plan; nil without a plan. What an earlier run of the same search measured is
// found there.
func (f *finder) openJournal() (*searchJournal, error) {
	if f.Plan == "" {
		return nil, nil
	}
	hash, err := f.src.SHA256()
	if err != nil {
		return nil, err
	}
	fit, err := f.fitConfig()
	if err != nil {
		return nil, err
	}
	m := f.Method
	config, err := json.Marshal(struct {
		Strategy   string         `json:"strategy"`
		Metric     string         `json:"metric"`
		Confidence float64        `json:"confidence,omitempty"`
		Time       time.Duration  `json:"time_ns,omitempty"`
		Unit       blockmask.Unit `json:"kind"`
		Goal       search.Goal    `json:"goal"`
		Seed       uint64         `json:"seed"`
		Batch      int            `json:"batch"`
		Flash      string         `json:"flash_attn"`
		Text       any            `json:"calibration"`
		Fit        *fitConfig     `json:"fit,omitempty"`
		Behind     *behindConfig  `json:"behind,omitempty"`
	}{cmp.Or(m.Strategy, strategy.Names()[0]), m.Metric.String(), cmp.Or(m.Confidence, strategy.DefaultConfidence), m.Time, f.Unit, f.Goal, m.Seed, f.Text.Batch, f.src.Spec.FlashAttn, f.Calibration.Config(), fit, f.behindConfig()})
	if err != nil {
		return nil, err
	}
	found, err := journal.Open[search.Measurement](JournalPath(f.Plan), journal.Header{
		ModelSHA256: hash, TokensSHA256: f.set.SHA256(), Config: config, Tool: f.Tool, LlamaCpp: f.src.Spec.Engine.Version().Tag,
	}, journal.Owner{Job: "search", File: "plan"})
	if err != nil {
		return nil, err
	}
	if n := len(found.Records()); n > 0 {
		f.sink.Notef("resumed from %s: %d measurements are there", filepath.Base(JournalPath(f.Plan)), n)
	} else if n := found.Notes(strategy.AwareNotes); n > 0 {
		f.sink.Notef("resumed from %s: %d steps are there", filepath.Base(JournalPath(f.Plan)), n)
	}
	return found, nil
}

// behindConfig is what follows a search, where its time is planned, too.
type behindConfig struct {
	Writes   bool       `json:"writes"`
	After    int        `json:"after"`
	Repair   fit.Method `json:"repair,omitempty"`
	Usual    bool       `json:"usual,omitempty"`
	Tokens   int        `json:"tokens,omitempty"`
	TypeName string     `json:"type,omitempty"`
}

// behindConfig is nil where no time is planned.
func (f *finder) behindConfig() *behindConfig {
	if f.Method.Time == 0 {
		return nil
	}
	out := &behindConfig{Writes: f.Writes, After: f.After, Repair: f.Repair.Method, Usual: f.Repair.Usual, Tokens: f.Repair.Tokens}
	if f.Repair.Type != nil {
		out.TypeName = f.Repair.Type.Name()
	}
	return out
}

// fitConfig is what trials of shapes are fitted on.
type fitConfig struct {
	Texts   []string `json:"texts"`          // a hash of each one's documents, but for what the model writes itself
	Context int      `json:"context"`        // the length of their sequences
	Chat    string   `json:"chat,omitempty"` // whether conversations are in the model's chat template
	Type    string   `json:"type,omitempty"` // that changed tensors are raised to
	Tokens  int      `json:"tokens"`
	Grain   int      `json:"grain"`
	Tasks   []string `json:"tasks,omitempty"` // a hash of each one's items
}

// fitConfig is nil for searches of blocks.
func (f *finder) fitConfig() (*fitConfig, error) {
	if f.Unit != blockmask.Auto && f.Unit != blockmask.Width {
		return nil, nil
	}
	out := &fitConfig{Context: source.DefaultContext(f.Text.Context, f.src.Model.Info()), Chat: string(f.Repair.Chat), Tokens: f.Repair.Tokens, Grain: f.grain}
	if f.Repair.Type != nil {
		out.Type = f.Repair.Type.Name()
	}
	texts, err := repair.Request{Options: f.Repair, Text: f.Text}.Materials()
	if err != nil {
		return nil, err
	}
	for _, c := range texts {
		out.Texts = append(out.Texts, fmt.Sprintf("%s %x", c.Name, sha256.Sum256([]byte(c.Text()))))
	}
	for _, t := range f.Tasks.Sets {
		out.Tasks = append(out.Tasks, fmt.Sprintf("%s %x", t.Name, sha256.Sum256(fmt.Appendf(nil, "%+v", t.Items))))
	}
	return out, nil
}

// measured reports whether the journal has what it took a search's work to find out: measurements, or the steps of the strategy aware.
func (f *finder) measured() bool {
	return f.journal.Len() > 0 || f.journal.Notes(strategy.AwareNotes) > 0
}
