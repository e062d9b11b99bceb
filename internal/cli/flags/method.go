package flags

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// Method says how a search decides.
type Method struct {
	kind, strategy, metric string
	confidence             float64
	time                   time.Duration
	fs                     *pflag.FlagSet
}

// AddFlags adds the flags.
func (m *Method) AddFlags(fs *pflag.FlagSet) {
	m.fs = fs
	Section(fs, "How to search", func(fs *pflag.FlagSet) {
		fs.StringVar(&m.strategy, "strategy", "", "`NAME` fast: the paper's choices or nearly, by racing, for about a sixth of greedy's cost (default)\n"+
			"greedy: the paper's, every candidate on the whole text\n"+
			"refine: fast on half of the text, then exchanges of blocks that the other half confirms\n"+
			"aware: scores what a repair would leave of the loss\n"+
			"oneshot, bi, magnitude, random: baselines to compare with")
		fs.StringVar(&m.kind, "kind", "", "`KIND` what goes. Without a search: auto (channels of FFNs, or these and whole attentions; a few shapes are fitted "+
			"and the best is taken) or width (channels of FFNs). By a search, block by block: mix (attention or FFN), attn, ffn, layer, or pair "+
			"(default: auto in prune, where the model's FFNs can be narrowed; mix with --blocks and in search)")
		fs.StringVar(&m.metric, "metric", "", "`NAME` what a candidate is judged by: ppl, or kld, the KL divergence from the whole model (default: ppl)")
		fs.DurationVar(&m.time, "time", 0, "`T` have the result after about T: 30m, 2h. With channels it says how many shapes are tried, and how much text is fitted on; "+
			"of searches it is for fast and refine, and says how much text is searched on. The repair, the check and the comparison are in it "+
			"(with a bound of quality, which does not say how far it goes, it is only an aim)")
		fs.Float64Var(&m.confidence, "confidence", strategy.DefaultConfidence, "`P` of each race of fast and refine")
		Choices(fs, "strategy", strategy.Names()...)
		Choices(fs, "kind", append([]blockmask.Unit{blockmask.Auto, blockmask.Width}, blockmask.Units()...)...)
		Choices(fs, "metric", perplexity.NLL.String(), perplexity.KLD.String())
	})
}

// Resolve checks the flags, and returns the method and what one step of it removes.
func (m *Method) Resolve() (out find.Method, unit blockmask.Unit, err error) {
	if unit, err = blockmask.ParseUnit(cmp.Or(m.kind, string(blockmask.Mix))); err != nil {
		return out, unit, Errorf("--kind: %v", err)
	}
	out.Strategy = cmp.Or(m.strategy, strategy.Names()[0])
	if !oneOf(out.Strategy, strategy.Names()...) {
		return out, unit, Errorf("--strategy is %q; give %s", m.strategy, strings.Join(strategy.Names(), ", "))
	}
	if out.Metric, err = perplexity.ParseMetric(cmp.Or(m.metric, "ppl")); err != nil {
		return out, unit, Errorf("--metric: %v", err)
	}
	switch {
	case !(m.confidence > 0.5 && m.confidence < 1):
		return out, unit, Errorf("--confidence is %v; give a number between 0.5 and 1, such as 0.95", m.confidence)
	case m.fs.Changed("confidence") && !out.Spec().Races:
		return out, unit, Errorf("--confidence is for races; add --strategy fast or refine")
	case m.fs.Changed("time") && m.time <= 0:
		return out, unit, Errorf("--time is %v; give a time such as 30m or 2h", m.time)
	case m.time > 0 && !out.Spec().Races:
		return out, unit, Errorf("--time cannot shorten --strategy %s; add --strategy fast or refine", out.Strategy)
	}
	if m.fs.Changed("confidence") {
		out.Confidence = m.confidence
	}
	out.Time = m.time
	return out, unit, nil
}

// Asked returns the first of these flags that the user gives, "" for none.
func (m *Method) Asked(names ...string) string {
	for _, name := range names {
		if m.fs.Changed(name) {
			return name
		}
	}
	return ""
}
