package render

import (
	"testing"

	"github.com/ggufprune/ggufprune/search/plan"
)

func TestRegretText(t *testing.T) {
	t.Parallel()
	all := &plan.Plan{Metric: "ppl"}
	all.Calibration.Sequences = 64
	part := &plan.Plan{Metric: "kld"}
	part.Calibration.Sequences, part.Settings.Sequences = 142, 19
	for want, p := range map[string]*plan.Plan{
		"64 sequences are few for this search: noise in its choices may have cost up to about 14% of perplexity; more text (-f, --chunks) makes that less": all,
		"19 sequences are few for this search: noise in its choices may have cost up to about 0.13 nats of divergence; a longer --time makes that less":    part,
	} {
		if got := regretText(0.133, p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
