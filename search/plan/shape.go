package plan

import "github.com/ggufprune/ggufprune/internal/jsonnum"

// Shape is one that was tried: fitted on a part of the text, and judged on what was held back of it.
type Shape struct {
	Name  string  `json:"name"`
	Keeps string  `json:"keeps"` // for people
	Ratio float64 `json:"params_removed_ratio"`
	Size  int64   `json:"size_bytes,omitempty"`
	// Predicted, of generation on the machine that tried it; 0: unknown.
	Speedup float64 `json:"speedup,omitempty"`
	// Part of the mixers that stay: of the KV cache, where they are attentions of one size.
	Mixers float64 `json:"mixers_left,omitempty"`
	Loss   float64 `json:"loss"`          // by how much the mean NLL rose, nats
	KLD    float64 `json:"kld,omitempty"` // mean divergence from the whole model, nats
	// Mean accuracy on the tasks that were given, 0 to 1; nil: none were.
	Accuracy *float64 `json:"accuracy,omitempty"`
	Chosen   bool     `json:"chosen,omitempty"`
}

// Task is the accuracy on a task before and after, 0 to 1: acc_norm where it has that, else acc.
type Task struct {
	Name   string  `json:"name"`
	Items  int     `json:"items"`
	Before float64 `json:"accuracy_before"`
	After  float64 `json:"accuracy_after"`
}

// Kind is what a kind of text loses on what was held back of it from the fit, or was not in it: perplexities.
type Kind struct {
	Name      string  `json:"name"`
	Sequences int     `json:"sequences"`
	Before    float64 `json:"ppl_before"`
	After     float64 `json:"ppl_after"`
	Unseen    bool    `json:"unseen,omitempty"` // the fit had none of it
}

// Ratio is the perplexity after the fit over that before.
func (k Kind) Ratio() float64 { return k.After / k.Before }

// Describe is the kind's name, with what the fit had of it.
func (k Kind) Describe() string {
	if k.Unseen {
		return k.Name + " (not in the fit)"
	}
	return k.Name
}

// checkShapes refuses numbers that no trial and no fit gives.
func checkShapes(all []Shape, kinds []Kind, tasks []Task) bool {
	part := func(x float64) bool { return x >= 0 && x <= 1 }
	for _, t := range tasks {
		if t.Items < 1 || !part(t.Before) || !part(t.After) {
			return false
		}
	}
	for _, k := range kinds {
		if !jsonnum.Finite(k.Before) || !jsonnum.Finite(k.After) || k.Before < leastPPL || k.After < leastPPL || k.Sequences < 0 {
			return false
		}
	}
	for _, s := range all {
		if !jsonnum.Finite(s.Speedup) || s.Speedup < 0 || !part(s.Mixers) || s.Accuracy != nil && !part(*s.Accuracy) {
			return false
		}
		if !jsonnum.Finite(s.Loss) || !jsonnum.Finite(s.KLD) || s.KLD < 0 || !(s.Ratio >= 0 && s.Ratio < 1) || s.Size < 0 {
			return false
		}
	}
	return true
}
