package cli

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// The types of this file are what --json prints. docs/CLI_JSON.md documents every field: TestJSONIsDocumented holds the two
// together. Fields may be added; a field never changes its name, type or meaning.

// resultJSON is printed by prune, search and apply.
type resultJSON struct {
	Command     string           `json:"command"`
	Tool        string           `json:"tool"`
	LlamaCpp    string           `json:"llama_cpp"`
	Model       string           `json:"model"`
	ModelInfo   modelJSON        `json:"model_info"`
	Calibration *calibrationJSON `json:"calibration,omitempty"`
	Metric      string           `json:"metric,omitempty"`
	Strategy    string           `json:"strategy,omitempty"`
	Kind        string           `json:"kind,omitempty"`
	BaseScore   *float64         `json:"base_score,omitempty"`
	BasePPL     *float64         `json:"base_ppl,omitempty"`
	Audit       *search.Audit    `json:"audit,omitempty"`
	Refine      *refineJSON      `json:"refine,omitempty"`
	HeldOut     *plan.HeldOut    `json:"held_out,omitempty"`
	Steps       []stepJSON       `json:"steps"`
	Mask        blockmask.Mask   `json:"mask"`
	Plan        string           `json:"plan,omitempty"`
	Repair      *repairJSON      `json:"repair,omitempty"`
	Output      *outputJSON      `json:"output,omitempty"`
	Check       *checkJSON       `json:"check,omitempty"`
	Quantized   *quantizedJSON   `json:"quantized,omitempty"`
	Comparison  *comparisonJSON  `json:"comparison,omitempty"`
	Report      *reportFilesJSON `json:"report,omitempty"`
}

// modelJSON describes a source model.
type modelJSON struct {
	Ref    string `json:"ref,omitempty"`
	Arch   string `json:"arch"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Params uint64 `json:"params"`
	Layers int    `json:"layers"`
	Blocks int    `json:"blocks"`
}

// calibrationJSON is what the scores were measured on.
type calibrationJSON struct {
	Description  string `json:"description"`
	TokensSHA256 string `json:"tokens_sha256"`
	Convention   string `json:"convention"`
	Context      int    `json:"n_ctx"`
	Sequences    int    `json:"sequences"`
	Tokens       int    `json:"tokens"`

	Chat bool           `json:"chat_template,omitempty"`
	Self *plan.SelfText `json:"self,omitempty"`
}

// stepJSON is one removal; its numbers describe the model after it.
type stepJSON struct {
	Block  blockmask.Mask `json:"block"`
	Score  *float64       `json:"score"`
	Params uint64         `json:"params_removed"`
	Ratio  float64        `json:"params_removed_ratio"`
	Bytes  int64          `json:"size_bytes"`

	Speedup   float64 `json:"speedup,omitempty"`
	Cost      float64 `json:"cost,omitempty"`
	PaperCost float64 `json:"paper_cost,omitempty"`
	Sequences int     `json:"sequences,omitempty"`
}

// refineJSON is what refinement did.
type refineJSON struct {
	Start           blockmask.Mask `json:"start"`
	Score           *float64       `json:"score"`
	StartScore      *float64       `json:"start_score"`
	Validation      *float64       `json:"validation"`
	StartValidation *float64       `json:"start_validation"`
	Generations     int            `json:"generations"`
	Accepted        int            `json:"accepted"`
	Rejected        int            `json:"rejected"`
}

// seriesJSON is printed by apply for several files.
type seriesJSON struct {
	Command string       `json:"command"`
	Results []resultJSON `json:"results"`
}

// outputJSON is the written file.
type outputJSON struct {
	Path          string  `json:"path"`
	Bytes         int64   `json:"bytes"`
	Layout        string  `json:"layout"`
	SHA256        string  `json:"sha256"`
	ParamsRemoved uint64  `json:"params_removed"`
	Ratio         float64 `json:"params_removed_ratio"`
	Modelfile     string  `json:"modelfile,omitempty"`
	Ollama        string  `json:"ollama,omitempty"`
	IMatrix       string  `json:"imatrix,omitempty"`
}

// checkJSON is how the written file compares with the masked original.
type checkJSON struct {
	Passed     bool     `json:"passed"`
	Positions  int      `json:"positions"`
	MaxAbsDiff float64  `json:"max_abs_diff"`
	NMSE       float64  `json:"nmse"`
	Exact      bool     `json:"exact"`
	PPLMasked  *float64 `json:"ppl_masked"`
	PPLWritten *float64 `json:"ppl_written"`
	PPLError   *float64 `json:"ppl_written_stderr"`
	Convention string   `json:"convention"`
	Text       string   `json:"text"`
	Context    int      `json:"n_ctx"`
	Batch      int      `json:"n_batch"`
	Sequences  int      `json:"sequences"`
}

// number is x, or null where it is not finite: JSON has no infinity.
func number(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	return &x
}

func newResultJSON(command string, out *pipeline.Outcome, plan string) resultJSON {
	r := resultJSON{
		Command: command, Tool: Version(), LlamaCpp: llamaVersion(), Model: out.Model.Path, ModelInfo: newModelJSON(out.Model),
		Steps: []stepJSON{}, Mask: out.Removed, Plan: plan,
	}
	if p := out.Plan; p != nil {
		c := p.Calibration
		r.Calibration = &calibrationJSON{c.Description, c.TokensSHA256, c.Convention, c.Context, c.Sequences, c.Tokens, c.Chat, c.Self}
		r.Metric, r.Strategy, r.Kind, r.BaseScore = p.Metric, p.Settings.Strategy, string(p.Settings.Unit), number(p.Base)
		if p.Metric == perplexity.NLL.String() {
			r.BasePPL = r.BaseScore
		}
		r.Audit, r.Refine, r.HeldOut = p.Audit, newRefineJSON(p.Refine), out.HeldOut()
	}
	for _, s := range out.Steps {
		r.Steps = append(r.Steps, stepJSON{
			Block: s.Removed, Score: number(s.Score), Params: s.ParamsRemoved, Ratio: s.Ratio, Bytes: s.Size,
			Speedup: s.Speedup, Cost: s.Cost, PaperCost: s.PaperCost, Sequences: s.Sequences(),
		})
	}
	if w := out.Write; w != nil {
		r.Repair = newRepairJSON(out)
		r.Output = &outputJSON{
			Path: w.Path, Bytes: w.Bytes, Layout: string(w.Layout.Kind), SHA256: w.SHA256,
			ParamsRemoved: w.Layout.ParamsRemoved, Ratio: float64(w.Layout.ParamsRemoved) / float64(w.Layout.ParamsTotal),
			IMatrix: w.IMatrix,
		}
		if p := out.Publish; p != nil {
			r.Output.Modelfile, r.Output.Ollama = p.Modelfile, p.Name
		}
		r.Check = newCheckJSON(w.Check)
		r.Quantized = newQuantizedJSON(w.Quantized)
	}
	r.Comparison = newComparisonJSON(out.Comparison)
	r.Report = newReportFilesJSON(out.Report)
	return r
}

func newRefineJSON(r *search.Refined) *refineJSON {
	if r == nil {
		return nil
	}
	return &refineJSON{
		Start: r.Start, Score: number(r.Score), StartScore: number(r.StartScore), Validation: number(r.Validation),
		StartValidation: number(r.StartValidation), Generations: r.Generations, Accepted: r.Accepted, Rejected: r.Rejected,
	}
}

func newModelJSON(m pipeline.ModelFacts) modelJSON {
	return modelJSON{Ref: m.Ref, Arch: m.Arch, SHA256: m.SHA256, Bytes: m.Bytes, Params: m.Params, Layers: m.Layers, Blocks: m.Blocks}
}

func newCheckJSON(k *pipeline.Check) *checkJSON {
	if k == nil {
		return nil
	}
	return &checkJSON{
		Passed: true, Positions: k.Rows, MaxAbsDiff: k.MaxAbsDiff, NMSE: k.NMSE, Exact: k.Exact,
		PPLMasked: number(k.Masked.PPL), PPLWritten: number(k.Written.PPL), PPLError: number(k.Written.StdErr),
		Convention: string(k.Written.Convention), Text: k.Text, Context: k.Context, Batch: k.Batch, Sequences: k.Written.Sequences,
	}
}

// pplJSON is printed by ppl.
type pplJSON struct {
	Command    string         `json:"command"`
	Model      string         `json:"model"`
	Mask       blockmask.Mask `json:"mask"`
	Text       string         `json:"text"`
	Convention string         `json:"convention"`
	Context    int            `json:"n_ctx"`
	Sequences  int            `json:"sequences"`
	Scored     int            `json:"scored_tokens"`
	PPL        *float64       `json:"ppl"`
	StdErr     *float64       `json:"ppl_stderr"`
}

func newPPLJSON(out *pipeline.PPLOutcome, mask blockmask.Mask) pplJSON {
	e := out.Estimate
	return pplJSON{
		Command: "ppl", Model: out.Model, Mask: mask, Text: out.Corpus, Convention: string(e.Convention), Context: out.Context,
		Sequences: e.Sequences, Scored: e.Scored, PPL: number(e.PPL), StdErr: number(e.StdErr),
	}
}

// inspectJSON is printed by inspect.
type inspectJSON struct {
	Command     string                `json:"command"`
	Model       string                `json:"model"`
	ModelInfo   modelJSON             `json:"model_info"`
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Context     int                   `json:"n_ctx_train"`
	Vocabulary  int                   `json:"n_vocab"`
	Supported   bool                  `json:"supported"`
	Reason      string                `json:"reason,omitempty"`
	Blocks      []inspectedBlockJSON  `json:"blocks"`
	Layouts     []inspectedLayoutJSON `json:"layouts"`
}

// inspectedBlockJSON is one block.
type inspectedBlockJSON struct {
	Block  string `json:"block"`
	Params uint64 `json:"params"`
	Bytes  int64  `json:"bytes"`
}

// inspectedLayoutJSON is how a file without some blocks would be written.
type inspectedLayoutJSON struct {
	Case    string         `json:"case"`
	Mask    blockmask.Mask `json:"mask"`
	Layout  string         `json:"layout,omitempty"`
	Exact   bool           `json:"exact"`
	Bytes   int64          `json:"bytes"`
	Refused string         `json:"refused,omitempty"`
}

func newInspectJSON(in *pipeline.Inspection) inspectJSON {
	j := inspectJSON{
		Command: "inspect", Model: in.Facts.Path, ModelInfo: newModelJSON(in.Facts), Name: in.Name, Description: in.Description,
		Context: in.Context, Vocabulary: in.Vocabulary, Supported: in.Reason == "", Reason: in.Reason,
		Blocks: []inspectedBlockJSON{}, Layouts: []inspectedLayoutJSON{},
	}
	for _, b := range in.Blocks {
		j.Blocks = append(j.Blocks, inspectedBlockJSON{b.Block.String(), b.Params, b.Bytes})
	}
	for _, l := range in.Layouts {
		j.Layouts = append(j.Layouts, inspectedLayoutJSON{l.Case, l.Mask, string(l.Kind), l.Exact, l.Bytes, l.Refused})
	}
	return j
}

// demoJSON is printed by demo.
type demoJSON struct {
	Result    resultJSON `json:"result"`
	Prompt    string     `json:"prompt"`
	Original  string     `json:"original_text"`
	Pruned    string     `json:"pruned_text"`
	KeptFiles bool       `json:"kept"`
}

// versionJSON is printed by version.
type versionJSON struct {
	Tool      string       `json:"tool"`
	LlamaCpp  string       `json:"llama_cpp"`
	LlamaTree string       `json:"llama_cpp_tree"`
	Go        string       `json:"go"`
	Devices   []deviceJSON `json:"devices"`
}

// deviceJSON is a device that llama.cpp finds.
type deviceJSON struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Type        string `json:"type"`
	Free        uint64 `json:"free_bytes"`
	Total       uint64 `json:"total_bytes"`
}

// textJSON is printed by completion and man.
type textJSON struct {
	Command string `json:"command"`
	Text    string `json:"text"`
}
