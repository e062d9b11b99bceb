package cli

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// methodFlags say how a search decides.
type methodFlags struct {
	kind, strategy, metric string
	confidence             float64
	time                   time.Duration
}

const methodUsage = `
How to search:
      --strategy NAME      fast: the paper's choices or nearly, by racing, for about a sixth of greedy's cost (default)
                           greedy: the paper's, every candidate on the whole text
                           refine: fast on half of the text, then exchanges of blocks that the other half confirms
                           aware: scores what a repair would leave of the loss
                           oneshot, bi, magnitude, random: baselines to compare with
      --kind KIND          what one step removes: mix (attention or FFN), attn, ffn, layer, or pair (default: mix)
      --metric NAME        what a candidate is judged by: ppl, or kld, the KL divergence from the whole model (default: ppl)
      --time T             have the result after about T: 30m, 2h; for fast and refine (with a bound of quality, which does
                           not say how far it goes, only an aim)
      --confidence P       of each race of fast and refine (default: 0.9)
`

func (m *methodFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&m.kind, "kind", string(blockmask.Mix), "")
	fs.StringVar(&m.strategy, "strategy", "", "")
	fs.StringVar(&m.metric, "metric", "", "")
	fs.DurationVar(&m.time, "time", 0, "")
	fs.Float64Var(&m.confidence, "confidence", strategy.DefaultConfidence, "")
}

// method checks the flags.
func (m *methodFlags) method(fs *pflag.FlagSet) (out pipeline.Method, unit blockmask.Unit, err error) {
	if unit, err = blockmask.ParseUnit(m.kind); err != nil {
		return out, unit, usagef("--kind: %v", err)
	}
	out.Strategy = cmp.Or(m.strategy, pipeline.Strategies()[0])
	if !oneOf(out.Strategy, pipeline.Strategies()...) {
		return out, unit, usagef("--strategy is %q; give %s", m.strategy, strings.Join(pipeline.Strategies(), ", "))
	}
	if out.Metric, err = perplexity.ParseMetric(cmp.Or(m.metric, "ppl")); err != nil {
		return out, unit, usagef("--metric: %v", err)
	}
	switch {
	case !(m.confidence > 0.5 && m.confidence < 1):
		return out, unit, usagef("--confidence is %v; give a number between 0.5 and 1, such as 0.95", m.confidence)
	case fs.Changed("confidence") && !out.Races():
		return out, unit, usagef("--confidence is for races; add --strategy fast or refine")
	case fs.Changed("time") && m.time <= 0:
		return out, unit, usagef("--time is %v; give a time such as 30m or 2h", m.time)
	case m.time > 0 && !out.Races():
		return out, unit, usagef("--time cannot shorten --strategy %s; add --strategy fast or refine", out.Strategy)
	}
	if fs.Changed("confidence") {
		out.Confidence = m.confidence
	}
	out.Time = m.time
	return out, unit, nil
}
