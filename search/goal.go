package search

import (
	"errors"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Goal says when enough is removed. Exactly one field is set.
type Goal struct {
	// Blocks removed at least. Steps of kind layer remove two at once and may end one above.
	Blocks int `json:"blocks,omitempty"`

	// Ratio of the whole model's parameters, embeddings included, removed at least: 0 < Ratio < 1. The search ends with the
	// first step that reaches it, so that the result is never larger than asked for.
	Ratio float64 `json:"ratio,omitempty"`

	// Size in bytes of the output file, at most.
	Size int64 `json:"size_bytes,omitempty"`

	// Speedup: predicted speed of the result over that of the whole model, at least. Above 1; needs Model.Times.
	Speedup float64 `json:"speedup,omitempty"`

	// MaxPPLRatio is the perplexity over that of the whole model, at most; above 1. MaxKLD is the mean KL divergence in nats, at
	// most. The search goes on as long as the bound holds: the last step is the last one within it. Where scores are of the
	// other metric, Model.Quality measures the ratio or the divergence.
	MaxPPLRatio float64 `json:"max_ppl_ratio,omitempty"`
	MaxKLD      float64 `json:"max_kld,omitempty"`
}

// OfQuality reports whether the goal bounds the quality of what is left instead of asking for an amount to remove.
func (g Goal) OfQuality() bool { return g.MaxPPLRatio != 0 || g.MaxKLD != 0 }

// measure returns what the goal bounds: quality, what Model.Quality measured; or, if that is NaN, what follows from the whole
// model's score base and the score.
func (g Goal) measure(quality, base, score float64) float64 {
	switch {
	case !math.IsNaN(quality):
		return quality
	case g.MaxPPLRatio != 0:
		return score / base
	}
	return score
}

// Allows reports whether such a model is within the bound.
func (g Goal) Allows(quality, base, score float64) bool {
	bound := g.MaxKLD
	if g.MaxPPLRatio != 0 {
		bound = g.MaxPPLRatio
	}
	return g.measure(quality, base, score) <= bound
}

// GoalError says why a goal cannot be asked for.
type GoalError struct {
	Goal   Goal
	Reason string // what is wrong and what to do
}

func (e *GoalError) Error() string { return e.Reason }

// Fail returns a [GoalError] about the goal.
func (g Goal) Fail(format string, args ...any) error {
	return &GoalError{Goal: g, Reason: fmt.Sprintf(format, args...)}
}

// Validate checks what can be checked without a model.
func (g Goal) Validate() error {
	set := 0
	for _, given := range []bool{g.Blocks != 0, g.Ratio != 0, g.Size != 0, g.Speedup != 0, g.MaxPPLRatio != 0, g.MaxKLD != 0} {
		if given {
			set++
		}
	}
	switch {
	case set == 0:
		return g.Fail("nothing to remove: give a number of blocks, a ratio above 0 or a target size")
	case set > 1:
		return g.Fail("give only one of number of blocks, ratio and target size, speedup and bounds of quality")
	case g.Blocks < 0:
		return g.Fail("cannot remove %d blocks; give 1 or more", g.Blocks)
	case g.Ratio != 0 && !(g.Ratio > 0 && g.Ratio < 1): // NaN too
		return g.Fail("ratio %v: give a ratio between 0 and 1, such as 0.2", g.Ratio)
	case g.Size < 0:
		return g.Fail("target size of %d bytes; give a size above 0", g.Size)
	}
	return g.validateRatios()
}

func (g Goal) validateRatios() error {
	switch {
	case g.Speedup != 0 && !(g.Speedup > 1 && jsonnum.Finite(g.Speedup)):
		return g.Fail("speedup %v: give a factor above 1, such as 1.3", g.Speedup)
	case g.MaxPPLRatio != 0 && !(g.MaxPPLRatio > 1 && jsonnum.Finite(g.MaxPPLRatio)):
		return g.Fail("perplexity ratio %v: give a factor above 1, such as 1.15", g.MaxPPLRatio)
	case g.MaxKLD != 0 && !(g.MaxKLD > 0 && jsonnum.Finite(g.MaxKLD)):
		return g.Fail("KL divergence %v: give a number of nats above 0, such as 0.1", g.MaxKLD)
	}
	return nil
}

// State is what a mask leaves of a model, as far as goals care.
type State struct {
	Blocks int     // removed
	Ratio  float64 // of the parameters, removed
	Size   int64   // bytes of the output; 0 = unknown

	Speedup float64 // predicted; 0 = unknown
}

// Reached reports whether s is enough. A bound of quality never is: the search ends where the next step would leave it.
func (g Goal) Reached(s State) bool {
	switch {
	case g.Blocks > 0:
		return s.Blocks >= g.Blocks
	case g.Ratio > 0:
		return s.Ratio >= g.Ratio
	case g.Speedup > 0:
		return s.Speedup >= g.Speedup
	case g.OfQuality():
		return false
	default:
		return s.Size > 0 && s.Size <= g.Size
	}
}

// progress returns how much of the way from start to the goal is done at s, 0 to 1.
func (g Goal) progress(start, s State) float64 {
	part := 0.0
	switch {
	case g.Reached(s):
		return 1
	case g.Blocks > 0:
		part = float64(s.Blocks) / float64(g.Blocks)
	case g.Ratio > 0:
		part = s.Ratio / g.Ratio
	case g.Speedup > 0:
		// Speed is the inverse of what is left: the way there is even in time saved.
		part = (1 - 1/max(1, s.Speedup)) / (1 - 1/g.Speedup)
	case g.OfQuality():
		part = s.Ratio // a bound of quality does not tell where it ends
	case start.Size > g.Size && s.Size > 0:
		part = float64(start.Size-s.Size) / float64(start.Size-g.Size)
	}
	return min(1, max(0, part))
}

// ErrGoalMissed is wrapped by the error of a search which removed all that it may without reaching its goal.
var ErrGoalMissed = errors.New("goal not reached")
