package write

import (
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// maxNMSE is the most that log-probabilities may differ where a layout reorders sums: the tolerance that llama.cpp's own
// tests use between two of its back ends is of this order.
const maxNMSE = 1e-3

// rowDiff accumulates how far one model's log-probabilities are from another's, row by row.
type rowDiff struct {
	rows           int
	maxAbs         float64
	sumSquares     float64 // of the differences
	sumReference   float64 // of the reference's values
	divergence     bool    // sumKL is wanted, which takes an exponential for each value
	sumKL          float64 // KL divergence of got from ref, over the positions
	ref, got       []float64
	worstSeq       int
	worstPos       int
	differingRows  int
	notFiniteFirst string
}

// add compares the logits of one position over the full vocabulary, after turning both into log-probabilities (nats).
func (c *rowDiff) add(seq, pos int, ref, got []float32) error {
	if len(ref) != len(got) {
		return fmt.Errorf("the written file has a vocabulary of %d tokens, the original %d", len(got), len(ref))
	}
	c.ref, c.got = logProbs(c.ref, ref), logProbs(c.got, got)
	c.rows++
	rowMax := 0.0
	for i, r := range c.ref {
		d := math.Abs(r - c.got[i])
		if math.IsNaN(d) || math.IsInf(d, 0) {
			d = math.Inf(1)
			if c.notFiniteFirst == "" {
				c.notFiniteFirst = fmt.Sprintf("position %d of sequence %d", pos, seq)
			}
		}
		rowMax = max(rowMax, d)
		c.sumSquares += d * d
		c.sumReference += r * r
		if c.divergence {
			c.sumKL += kld.Term(r, c.got[i])
		}
	}
	if rowMax > 0 {
		c.differingRows++
	}
	if rowMax > c.maxAbs {
		c.maxAbs, c.worstSeq, c.worstPos = rowMax, seq, pos
	}
	return nil
}

// nmse is the normalised mean square error: sum (a-b)² / sum a².
func (c *rowDiff) nmse() float64 {
	switch {
	case c.sumSquares == 0:
		return 0
	case c.sumReference == 0:
		return math.Inf(1)
	default:
		return c.sumSquares / c.sumReference
	}
}

// verdict says what is wrong, or "" where the written file computes what the masked original does. With exact, not a bit
// may differ.
func (c *rowDiff) verdict(exact bool) string {
	switch {
	case c.rows == 0:
		return "no position was compared"
	case c.notFiniteFirst != "":
		return "log-probabilities are not finite, first at " + c.notFiniteFirst
	case exact && c.maxAbs > 0:
		return fmt.Sprintf("log-probabilities differ by up to %.3g (position %d of sequence %d) in %d of %d positions where they must be identical",
			c.maxAbs, c.worstPos, c.worstSeq, c.differingRows, c.rows)
	case c.nmse() > maxNMSE:
		return fmt.Sprintf("log-probabilities differ with NMSE %.3g, more than %.3g, and by up to %.3g (position %d of sequence %d)",
			c.nmse(), maxNMSE, c.maxAbs, c.worstPos, c.worstSeq)
	default:
		return ""
	}
}

// logProbs returns the log-softmax of logits in double precision, in dst if it is large enough.
func logProbs(dst []float64, logits []float32) []float64 {
	if cap(dst) < len(logits) {
		dst = make([]float64, len(logits))
	}
	dst = dst[:len(logits)]
	lse := logSumExp(logits)
	for i, l := range logits {
		dst[i] = float64(l) - lse
	}
	return dst
}

// logSumExp returns log(sum(exp(logits))), NaN when a logit is NaN or all are infinite.
func logSumExp(logits []float32) float64 {
	top := float32(math.Inf(-1))
	for _, l := range logits {
		top = max(top, l) // NaN if l is
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - float64(top))
	}
	return float64(top) + math.Log(sum)
}
