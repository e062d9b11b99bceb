package cli

import (
	"math"
	"slices"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/search"
)

// defaultRepair is what prune and apply do without --repair. The usage texts follow it; TestRepairDefault holds the documents to it.
const defaultRepair = fit.Auto

const repairUsage = repairMethodUsage + string(defaultRepair) + repairOptionsUsage

const repairMethodUsage = `
Repair: re-fits the output projections of the blocks that stay, so that less is lost; the result is taken where it is better on text
held back from the fit:
      --repair METHOD      full, map (cheaper for wide FFNs), auto (full where it is affordable), or off (default: `

const repairOptionsUsage = `)
      --repair-text FILE   text to fit on, may be given several times; give what the model is for and something else
                           (default: the calibration text and the built-in one)
      --repair-tokens N    tokens to fit on and choose by (default: 65536)
      --repair-type TYPE   raise the tensors that it changes to this type, where theirs is lower: Q6_K, Q8_0, F16 ...; it takes
                           room for a copy of the original while it runs (default: each keeps its own)
`

// repairFlags say whether and how weights are re-fitted.
type repairFlags struct {
	method string
	texts  []string
	tokens int
	typ    string
}

func (r *repairFlags) add(fs *pflag.FlagSet, method fit.Method) {
	fs.StringVar(&r.method, "repair", string(method), "")
	fs.StringArrayVar(&r.texts, "repair-text", nil, "")
	fs.IntVar(&r.tokens, "repair-tokens", pipeline.DefaultRepairTokens, "")
	fs.StringVar(&r.typ, "repair-type", "", "")
}

// fill checks the flags and puts them into the job, whose method is known. A job that is to be done in some time has no repair unless
// one is asked for: how long one takes is not planned.
func (r *repairFlags) fill(fs *pflag.FlagSet, j *pipeline.Job) error {
	method, err := fit.ParseMethod(r.method)
	if err != nil {
		return usagef("--repair: %v", err)
	}
	if r.tokens < 1 || r.tokens > math.MaxInt32 {
		return usagef("--repair-tokens %d: give a number of tokens such as 65536", r.tokens)
	}
	if method == fit.Off {
		if len(r.texts) > 0 {
			return usagef("--repair-text does not go with --repair off; leave one of them out")
		}
		if r.typ != "" {
			return usagef("--repair-type does not go with --repair off; leave one of them out")
		}
		return nil
	}
	usual := !r.asked(fs) && j.Method.Strategy != "aware" // which counts on it
	if usual && j.Method.Time > 0 {
		return nil
	}
	j.Repair = pipeline.Repair{Method: method, Files: r.texts, Tokens: r.tokens, Usual: usual}
	if r.typ != "" {
		t, err := pipeline.ParseRepairType(r.typ)
		if err != nil {
			return usagef("--repair-type: %v", err)
		}
		j.Repair.Type = &t
	}
	return nil
}

// asked reports whether the user wants a repair, rather than gets one.
func (r *repairFlags) asked(fs *pflag.FlagSet) bool {
	return slices.ContainsFunc([]string{"repair", "repair-text", "repair-tokens", "repair-type"}, fs.Changed)
}

// checkType refuses --repair-type where it would not mean what it says. goals are what the file is to reach.
func (r *repairFlags) checkType(quantize string, goals ...search.Goal) error {
	if r.typ == "" {
		return nil
	}
	if quantize != "" {
		return usagef("--repair-type does not go with --quantize, which gives every tensor its type; use --tensor-type NAME=TYPE")
	}
	for _, g := range goals {
		if g.Size > 0 {
			return usagef("--target-size is the size without --repair-type, so they do not go together; give --ratio or --blocks")
		}
	}
	return nil
}

// repairJSON is the repair of a result.
type repairJSON struct {
	Method    string            `json:"method"`
	Positions int               `json:"positions"`
	PPLBefore *float64          `json:"ppl_before"`
	PPLAfter  *float64          `json:"ppl_after"`
	Undone    bool              `json:"undone"`
	Blocks    []repairBlockJSON `json:"blocks"`
}

// repairBlockJSON is what a repair did to a block.
type repairBlockJSON struct {
	Block   string        `json:"block"`
	Tensor  string        `json:"tensor,omitempty"`
	Type    string        `json:"type,omitempty"`
	Method  string        `json:"method,omitempty"`
	Lambda  float64       `json:"lambda,omitempty"`
	Before  jsonnum.Float `json:"mse_before,omitempty"`
	After   jsonnum.Float `json:"mse_after,omitempty"`
	Skipped string        `json:"skipped,omitempty"`
}

func newRepairJSON(o *pipeline.Outcome) *repairJSON {
	r := o.Repair
	if r == nil {
		return nil
	}
	out := &repairJSON{Positions: r.Positions, PPLBefore: number(math.Exp(r.NLLBefore)), PPLAfter: number(math.Exp(r.NLLAfter)), Undone: r.Undone, Blocks: []repairBlockJSON{}}
	for _, b := range r.Blocks {
		block := repairBlockJSON{b.Block.String(), b.Tensor, "", string(b.Method), b.Lambda, b.Before, b.After, b.Skipped}
		if t, ok := o.Raised[b.Tensor]; ok {
			block.Type = t.Name()
		}
		out.Blocks = append(out.Blocks, block)
		if b.Skipped == "" {
			out.Method = string(b.Method)
		}
	}
	return out
}

// printRepair prints what a repair did.
func printRepair(u *ui.UI, o *pipeline.Outcome) {
	r := o.Repair
	if r == nil {
		return
	}
	if r.Undone {
		u.Resultf("repair  none: it would not have helped on text held back from it")
		return
	}
	u.Resultf("repair  %d of %d blocks re-fitted on %d tokens; PPL on text held back from the fit %.4f, was %.4f", len(r.Weights), len(r.Blocks),
		r.Positions, math.Exp(r.NLLAfter), math.Exp(r.NLLBefore))
	var reasons []string
	skipped := map[string]int{}
	for _, b := range r.Blocks {
		if b.Skipped != "" && skipped[b.Skipped] == 0 {
			reasons = append(reasons, b.Skipped)
		}
		skipped[b.Skipped]++
	}
	for _, reason := range reasons {
		u.Resultf("        %d left alone: %s", skipped[reason], reason)
	}
	count := map[gguf.Type]int{}
	for _, t := range o.Raised {
		count[t]++
	}
	for _, t := range pipeline.RepairTypes {
		if count[t] > 0 {
			u.Resultf("        %d tensors raised to %s", count[t], t)
		}
	}
}
