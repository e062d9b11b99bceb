package page

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// maxText is how much of a name is shown.
const maxText = 400

// clean returns s as one line that shows what it says: control characters, invalid bytes and those that turn the direction of text
// are replaced, and what is too long for a name is cut.
func clean(s string) string { return cleanTo(s, maxText) }

// cleanTo is clean with another limit, in bytes.
func cleanTo(s string, limit int) string {
	var b strings.Builder
	for i, r := range s {
		if i >= limit {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r == utf8.RuneError, !unicode.IsGraphic(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// visible is clean for text of several lines that is long, such as commands.
func visible(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = cleanTo(lines[i], 16*maxText)
	}
	return strings.Join(lines, "\n")
}

// isKLD reports whether the plan's scores are KL divergences.
func isKLD(p *plan.Plan) bool { return p.Metric == perplexity.KLD.String() }

// metricName is what scores are called in tables and axes.
func metricName(p *plan.Plan) string {
	switch p.Metric {
	case perplexity.KLD.String():
		return "KL divergence"
	case perplexity.NLL.String():
		return "Perplexity"
	}
	return clean(p.Metric)
}

// shortMetric is the field's abbreviation of it.
func shortMetric(p *plan.Plan) string {
	switch p.Metric {
	case perplexity.KLD.String():
		return "KLD"
	case perplexity.NLL.String():
		return "PPL"
	}
	return clean(p.Metric)
}

// scoreText writes a score; mark is put in front of one that was estimated.
func scoreText(v float64, estimated bool) string {
	text := "not finite"
	switch {
	case math.IsInf(v, 0) || math.IsNaN(v):
	case math.Abs(v) < 1e-6: // the divergence of a model to itself, which rounding keeps from 0
		text = "0.0000"
	case math.Abs(v) >= 1e5:
		text = fmt.Sprintf("%.3g", v)
	default:
		text = fmt.Sprintf("%.4f", v)
	}
	if estimated {
		return "~" + text
	}
	return text
}

// withError writes a number and its standard error, where that is known, with the same verb.
func withError(verb string, v, err float64) string {
	if !(err > 0) {
		return fmt.Sprintf(verb, v)
	}
	return fmt.Sprintf(verb+" ± "+verb, v, err)
}

// percent writes a part of one.
func percent(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }

// change writes how far a score is from an earlier one: in per cent for perplexity, in nats for divergence.
func change(kld bool, before, after float64) string {
	switch d := difference(kld, before, after); {
	case math.IsInf(d, 0) || math.IsNaN(d):
		return "not finite"
	case kld:
		return format.Minus(fmt.Sprintf("%+.4f nats", d))
	case d >= 10:
		return fmt.Sprintf("×%.3g", d+1)
	default:
		return format.Minus(fmt.Sprintf("%+.1f%%", 100*d))
	}
}

// difference is what change writes: the relative difference of perplexities, or that of divergences.
func difference(kld bool, before, after float64) float64 {
	if kld {
		return after - before
	}
	return after/before - 1
}

// plural writes "1 step", "2 steps".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
