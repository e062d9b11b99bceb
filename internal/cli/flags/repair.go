package flags

import (
	"math"
	"slices"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/search"
)

// DefaultRepair is what prune and apply do without --repair. TestRepairDefault holds docs/USAGE.md to it.
const DefaultRepair = fit.Auto

// Repair says whether and how weights are re-fitted.
type Repair struct {
	Method fit.Method // the default

	method string
	texts  []string
	tokens int
	typ    string
	fs     *pflag.FlagSet
}

// AddFlags adds the flags.
func (r *Repair) AddFlags(fs *pflag.FlagSet) {
	r.fs = fs
	Section(fs, "Repair, a re-fit of the blocks that stay; it is taken where it is better on text held back from the fit", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.method, "repair", string(r.Method), "`METHOD` full, map (cheaper for wide FFNs), auto (full where it is affordable), or off")
		fs.StringArrayVar(&r.texts, "repair-text", nil, "`FILE` text to fit on, may be given several times; give what the model is for and something else "+
			"(default: the calibration text and built-in ones, and with channels also text that the model writes)")
		fs.IntVar(&r.tokens, "repair-tokens", repair.DefaultTokens, "`N` tokens to fit on and choose by")
		fs.StringVar(&r.typ, "repair-type", "", "`TYPE` raise the tensors that it changes to this type, where theirs is lower: Q6_K, Q8_0, F16 ...; it takes "+
			"room for a copy of the original while it runs (default: each keeps its own)")
		Choices(fs, "repair", fit.Auto, fit.Full, fit.Map, fit.Off)
		types := make([]string, len(repair.Types))
		for i, t := range repair.Types {
			types[i] = t.Name()
		}
		Choices(fs, "repair-type", types...)
	})
}

// Resolve checks the flags and returns the repair of a search's outcome; without a method it is none. quantize is the type of --quantize,
// and goals are what the file is to reach.
func (r *Repair) Resolve(how find.Method, quantize string, goals ...search.Goal) (repair.Options, error) {
	none := repair.Options{}
	method, err := fit.ParseMethod(r.method)
	switch {
	case err != nil:
		return none, Errorf("--repair: %v", err)
	case r.tokens < 1 || r.tokens > math.MaxInt32:
		return none, Errorf("--repair-tokens %d: give a number of tokens such as 65536", r.tokens)
	case method == fit.Off:
		return none, r.checkOff()
	}
	usual := !r.Asked() && !how.Spec().Repairs // such a strategy counts on it
	out := repair.Options{Method: method, Files: r.texts, Tokens: r.tokens, TokensGiven: r.fs.Changed("repair-tokens"), Usual: usual}
	if r.typ != "" {
		t, err := repair.ParseType(r.typ)
		if err != nil {
			return none, Errorf("--repair-type: %v", err)
		}
		out.Type = &t
	}
	return out, r.checkType(quantize, goals)
}

// checkOff refuses flags that would do nothing.
func (r *Repair) checkOff() error {
	for _, name := range []string{"repair-text", "repair-tokens", "repair-type"} {
		if r.fs.Changed(name) {
			return Errorf("--%s does not go with --repair off; leave one of them out", name)
		}
	}
	return nil
}

// Asked reports whether the user wants a repair, rather than gets one.
func (r *Repair) Asked() bool {
	return slices.ContainsFunc([]string{"repair", "repair-text", "repair-tokens", "repair-type"}, r.fs.Changed)
}

// Chosen reports whether the user names a method.
func (r *Repair) Chosen() bool { return r.fs.Changed("repair") && r.method != string(fit.Auto) }

// checkType refuses --repair-type where it would not mean what it says.
func (r *Repair) checkType(quantize string, goals []search.Goal) error {
	if r.typ == "" {
		return nil
	}
	if quantize != "" {
		return Errorf("--repair-type does not go with --quantize, which gives every tensor its type; use --tensor-type NAME=TYPE")
	}
	for _, g := range goals {
		if g.Size > 0 {
			return Errorf("--target-size is the size without --repair-type, so they do not go together; give --ratio or --blocks")
		}
	}
	return nil
}
