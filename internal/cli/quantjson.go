package cli

import (
	"github.com/ggufprune/ggufprune/internal/pipeline"
)

// quantizeJSON is printed by quantize.
type quantizeJSON struct {
	Command string         `json:"command"`
	Model   string         `json:"model"`
	Type    string         `json:"type"`
	Path    string         `json:"path"`
	Bytes   int64          `json:"bytes"`
	Before  int64          `json:"bytes_before"`
	Params  uint64         `json:"params"`
	SHA256  string         `json:"sha256"`
	Tensors map[string]int `json:"tensors"`
	IMatrix string         `json:"imatrix,omitempty"`
}

func newQuantizeJSON(j pipeline.QuantizeJob, out *pipeline.QuantizeOutcome) quantizeJSON {
	return quantizeJSON{
		Command: "quantize", Model: j.In, Type: j.Quantize.Params.Type.Name, Path: out.Path, Bytes: out.Bytes, Before: out.Before,
		Params: out.Params, SHA256: out.SHA256, Tensors: out.Tensors, IMatrix: out.IMatrix,
	}
}

// quantizedJSON is what came of --quantize.
type quantizedJSON struct {
	Type     string     `json:"type"`
	Before   int64      `json:"bytes_before"`
	Passed   bool       `json:"passed"`
	Noise    *noiseJSON `json:"noise,omitempty"`
	Whole    *noiseJSON `json:"noise_whole,omitempty"`
	MaxNoise float64    `json:"max_noise,omitempty"`
	PPL      *float64   `json:"ppl,omitempty"`
	PPLError *float64   `json:"ppl_stderr,omitempty"`
}

// noiseJSON is how far a quantised model is from what it was made from.
type noiseJSON struct {
	NMSE       float64 `json:"nmse"`
	KLD        float64 `json:"kld"`
	MaxAbsDiff float64 `json:"max_abs_diff"`
}

func newQuantizedJSON(q *pipeline.Quantized) *quantizedJSON {
	if q == nil {
		return nil
	}
	j := &quantizedJSON{Type: q.Type.Name, Before: q.Before}
	if q.Pruned != nil {
		j.Passed, j.MaxNoise = true, q.Most
		j.Noise, j.Whole = newNoiseJSON(q.Pruned), newNoiseJSON(q.Whole)
		j.PPL, j.PPLError = number(q.PPL.PPL), number(q.PPL.StdErr)
	}
	return j
}

func newNoiseJSON(n *pipeline.Noise) *noiseJSON { return &noiseJSON{n.NMSE, n.KLD, n.MaxAbsDiff} }
