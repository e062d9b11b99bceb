package perplexity

import (
	"fmt"
	"math"
	"strings"
)

// Metric says what a set's losses are and how a score is made of them.
type Metric string

// The metrics. Both are lower for better models.
const (
	NLL Metric = ""    // negative log-likelihood; the score is the perplexity, exp(mean)
	KLD Metric = "kld" // KL divergence from the whole model; the score is the mean, in nats per position
)

// ParseMetric reads a metric's name.
func ParseMetric(s string) (Metric, error) {
	switch strings.ToLower(s) {
	case "ppl":
		return NLL, nil
	case "kld":
		return KLD, nil
	}
	return "", fmt.Errorf("unknown metric %q; use ppl or kld", s)
}

// String returns the name of the metric's score: "ppl" or "kld".
func (m Metric) String() string {
	if m == KLD {
		return "kld"
	}
	return "ppl"
}

// Score returns the score of the sequences whose sums are given, by the set's metric and convention. It is +Inf where any loss
// is not finite.
func (s *Set) Score(sums []Sum) float64 {
	if s.Metric == NLL {
		return PPL(s.Convention, sums)
	}
	mean := observations(s.Convention, sums).Mean()
	if math.IsNaN(mean) {
		return math.Inf(1)
	}
	return mean
}
