package render

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// The types of this file are what --json prints. docs/CLI_JSON.md documents every field: TestJSONIsDocumented holds the two
// together. Fields may be added; a field never changes its name, type or meaning.

// resultJSON is printed by prune, search, apply and repair.
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
	Shapes      []plan.Shape     `json:"shapes,omitempty"`
	Kinds       []plan.Kind      `json:"kinds,omitempty"`
	Tasks       []plan.Task      `json:"tasks,omitempty"`
	Steps       []stepJSON       `json:"steps"`
	Mask        blockmask.Mask   `json:"mask"`
	Plan        string           `json:"plan,omitempty"`
	Order       string           `json:"order,omitempty"`
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

// outputJSON is the written file.
type outputJSON struct {
	Path          string  `json:"path"`
	Bytes         int64   `json:"bytes"`
	Layout        string  `json:"layout"`
	SHA256        string  `json:"sha256"`
	Params        uint64  `json:"params"`
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

func newResultJSON(command string, out *prune.Outcome, plan string) resultJSON {
	r := resultJSON{
		Command: command, Tool: version.Tool(), LlamaCpp: out.Model.LlamaCpp, Model: out.Model.Path, ModelInfo: newModelJSON(out.Model),
		Steps: []stepJSON{}, Mask: out.Removed, Plan: plan, Order: out.Order,
	}
	switch p := out.Plan; {
	case p == nil:
	case p.Order != "":
		r.Order = p.Order
	default:
		c := p.Calibration
		r.Calibration = &calibrationJSON{c.Description, c.TokensSHA256, c.Convention, c.Context, c.Sequences, c.Tokens, c.Chat, c.Self}
		r.Metric, r.Strategy, r.Kind, r.BaseScore = p.Metric, p.Settings.Strategy, string(p.Settings.Unit), jsonnum.Known(p.Base)
		if p.Metric == perplexity.NLL.String() {
			r.BasePPL = r.BaseScore
		}
		r.Audit, r.Refine, r.HeldOut = p.Audit, newRefineJSON(p.Refine), out.HeldOut()
		r.Shapes, r.Kinds, r.Tasks = p.Shapes, p.Kinds, p.Tasks
	}
	for _, s := range out.Steps {
		r.Steps = append(r.Steps, stepJSON{
			Block: s.Removed, Score: jsonnum.Known(s.Score), Params: s.ParamsRemoved, Ratio: s.Ratio, Bytes: s.Size,
			Speedup: s.Speedup, Cost: s.Cost, PaperCost: s.PaperCost, Sequences: s.Sequences(),
		})
	}
	if w := out.Write; w != nil {
		r.Repair = newRepairJSON(out)
		r.Output = &outputJSON{
			Path: w.Path, Bytes: w.Bytes, Layout: string(w.Layout.Kind), SHA256: w.SHA256, Params: w.Layout.Params,
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
	return r
}

func newRefineJSON(r *search.Refined) *refineJSON {
	if r == nil {
		return nil
	}
	return &refineJSON{
		Start: r.Start, Score: jsonnum.Known(r.Score), StartScore: jsonnum.Known(r.StartScore), Validation: jsonnum.Known(r.Validation),
		StartValidation: jsonnum.Known(r.StartValidation), Generations: r.Generations, Accepted: r.Accepted, Rejected: r.Rejected,
	}
}

func newModelJSON(m source.Facts) modelJSON {
	return modelJSON{Ref: m.Ref, Arch: m.Arch, SHA256: m.SHA256, Bytes: m.Bytes, Params: m.Params, Layers: m.Layers, Blocks: m.Blocks}
}

func newCheckJSON(k *write.Check) *checkJSON {
	if k == nil {
		return nil
	}
	return &checkJSON{
		Passed: true, Positions: k.Rows, MaxAbsDiff: k.MaxAbsDiff, NMSE: k.NMSE, Exact: k.Exact,
		PPLMasked: jsonnum.Known(k.Masked.PPL), PPLWritten: jsonnum.Known(k.Written.PPL), PPLError: jsonnum.Known(k.Written.StdErr),
		Convention: string(k.Written.Convention), Text: k.Text, Context: k.Context, Batch: k.Batch, Sequences: k.Written.Sequences,
	}
}

// seriesJSON is printed by apply for several files.
type seriesJSON struct {
	Command string       `json:"command"`
	Results []resultJSON `json:"results"`
}
