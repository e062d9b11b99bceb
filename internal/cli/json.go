package cli

import (
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
)

// The objects of --json. docs/CLI_JSON.md documents every field, and a test holds the two together.

// outcomeJSON is what prune, search and apply print.
type outcomeJSON struct {
	Command string      `json:"command"`
	Model   modelJSON   `json:"model"`
	BasePPL *float64    `json:"base_ppl"`
	Steps   []stepJSON  `json:"steps"`
	Removed string      `json:"removed"`
	Plan    string      `json:"plan,omitempty"`
	Output  *outputJSON `json:"output,omitempty"`
	Check   *checkJSON  `json:"check,omitempty"`
}

type modelJSON struct {
	Path   string `json:"path"`
	Arch   string `json:"arch"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Params uint64 `json:"params"`
	Layers int    `json:"layers"`
	Blocks int    `json:"blocks"`
}

type stepJSON struct {
	Block string   `json:"block"`
	Score *float64 `json:"score"`
	Ratio float64  `json:"params_removed_ratio"`
	Size  int64    `json:"size_bytes"`
}

type outputJSON struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	Layout string `json:"layout"`
	SHA256 string `json:"sha256"`
	Layers int    `json:"layers"`
}

type checkJSON struct {
	Positions  int      `json:"positions"`
	MaxAbsDiff float64  `json:"max_abs_diff"`
	NMSE       float64  `json:"nmse"`
	Exact      bool     `json:"exact"`
	Text       string   `json:"text"`
	Context    int      `json:"n_ctx"`
	PPLMasked  *float64 `json:"ppl_masked"`
	PPLWritten *float64 `json:"ppl_written"`
	PPLStdErr  *float64 `json:"ppl_stderr"`
}

// pplJSON is what ppl prints.
type pplJSON struct {
	Command    string   `json:"command"`
	Model      string   `json:"model"`
	Text       string   `json:"text"`
	Convention string   `json:"convention"`
	Context    int      `json:"n_ctx"`
	Mask       string   `json:"mask"`
	PPL        *float64 `json:"ppl"`
	StdErr     *float64 `json:"ppl_stderr"`
	Sequences  int      `json:"sequences"`
	Scored     int      `json:"scored"`
}

// inspectJSON is what inspect prints.
type inspectJSON struct {
	Command    string             `json:"command"`
	Model      modelJSON          `json:"model"`
	Name       string             `json:"name"`
	Context    int                `json:"n_ctx_train"`
	Vocabulary int                `json:"n_vocab"`
	Supported  bool               `json:"supported"`
	Reason     string             `json:"reason,omitempty"`
	Blocks     []inspectBlockJSON `json:"blocks"`
	Layouts    []layoutJSON       `json:"layouts"`
}

type inspectBlockJSON struct {
	Block  string `json:"block"`
	Params uint64 `json:"params"`
	Bytes  int64  `json:"bytes"`
}

type layoutJSON struct {
	Case    string `json:"case"`
	Mask    string `json:"mask"`
	Layout  string `json:"layout,omitempty"`
	Refused string `json:"refused,omitempty"`
	Exact   bool   `json:"exact"`
	Bytes   int64  `json:"bytes,omitempty"`
}

// demoJSON is what demo prints.
type demoJSON struct {
	outcomeJSON
	Prompt   string `json:"prompt"`
	Original string `json:"original"`
	Pruned   string `json:"pruned"`
}

// versionJSON is what version prints.
type versionJSON struct {
	Tool     string       `json:"tool"`
	LlamaCpp string       `json:"llama_cpp"`
	Go       string       `json:"go"`
	Devices  []deviceJSON `json:"devices"`
}

type deviceJSON struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// finite is v, or null in JSON where it is not a number that JSON has.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func newModelJSON(f pipeline.ModelFacts) modelJSON {
	return modelJSON{Path: f.Path, Arch: f.Arch, SHA256: f.SHA256, Bytes: f.Bytes, Params: f.Params, Layers: f.Layers, Blocks: f.Blocks}
}

func newOutcomeJSON(command string, out *pipeline.Outcome, plan string) outcomeJSON {
	o := outcomeJSON{Command: command, Model: newModelJSON(out.Model), Steps: []stepJSON{}, Removed: out.Removed.String(), Plan: plan}
	if out.Plan != nil {
		o.BasePPL = finite(out.Plan.Base)
	}
	for _, s := range out.Steps {
		o.Steps = append(o.Steps, stepJSON{Block: s.Removed.String(), Score: finite(s.Score), Ratio: s.Ratio, Size: s.Size})
	}
	if w := out.Write; w != nil {
		o.Output = &outputJSON{Path: w.Path, Bytes: w.Bytes, Layout: string(w.Layout.Kind), SHA256: w.SHA256, Layers: len(w.Layout.Layers)}
		o.Check = newCheckJSON(w.Check)
	}
	return o
}

func newCheckJSON(c *pipeline.Check) *checkJSON {
	if c == nil {
		return nil
	}
	return &checkJSON{
		Positions: c.Rows, MaxAbsDiff: c.MaxAbsDiff, NMSE: c.NMSE, Exact: c.Exact, Text: c.Text, Context: c.Context,
		PPLMasked: finite(c.Masked.PPL), PPLWritten: finite(c.Written.PPL), PPLStdErr: finite(c.Written.StdErr),
	}
}

func newPPLJSON(out *pipeline.PPLOutcome, mask blockmask.Mask) pplJSON {
	e := out.Estimate
	return pplJSON{
		Command: "ppl", Model: out.Model, Text: out.Corpus, Convention: string(e.Convention), Context: out.Context,
		Mask: mask.String(), PPL: finite(e.PPL), StdErr: finite(e.StdErr), Sequences: e.Sequences, Scored: e.Scored,
	}
}

func newInspectJSON(in *pipeline.Inspection) inspectJSON {
	o := inspectJSON{
		Command: "inspect", Model: newModelJSON(in.Facts), Name: in.Name, Context: in.Context, Vocabulary: in.Vocabulary,
		Supported: in.Reason == "", Reason: in.Reason, Blocks: []inspectBlockJSON{}, Layouts: []layoutJSON{},
	}
	for _, b := range in.Blocks {
		o.Blocks = append(o.Blocks, inspectBlockJSON{Block: b.Block.String(), Params: b.Params, Bytes: b.Bytes})
	}
	for _, l := range in.Layouts {
		o.Layouts = append(o.Layouts, layoutJSON{Case: l.Case, Mask: l.Mask.String(), Layout: string(l.Kind), Refused: l.Refused, Exact: l.Exact, Bytes: l.Bytes})
	}
	return o
}
