package find

import "math"

// StepEvent is told after each step of a search. Its numbers describe the model after it.
type StepEvent struct {
	Event   string   `json:"event"` // "step"
	Index   int      `json:"index"`
	Block   string   `json:"block"`
	Metric  string   `json:"metric"`
	Score   float64  `json:"score"`
	Ratio   float64  `json:"params_removed_ratio"`
	Bytes   int64    `json:"size_bytes,omitempty"`
	Speedup float64  `json:"speedup,omitempty"`
	Elapsed float64  `json:"elapsed_s"`
	Left    *float64 `json:"left_s,omitempty"`
}

// RefineEvent is told after each generation of a refinement.
type RefineEvent struct {
	Event       string   `json:"event"` // "refine"
	Generation  int      `json:"generation"`
	Accepted    int      `json:"accepted"`
	Score       *float64 `json:"score"`      // on the half that it searches on
	Validation  *float64 `json:"validation"` // on the other half
	StartScore  *float64 `json:"start_score"`
	StartOther  *float64 `json:"start_validation"`
	MaskRemoved string   `json:"mask"`
}

// number is x, or nil where it is not finite: JSON has no infinity.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
