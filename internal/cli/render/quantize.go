package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/write"
)

// Quantize prints the file that quantize wrote, and its JSON object.
func Quantize(u *ui.UI, j quantize.Job, out *quantize.Outcome) error {
	u.Resultf("output  %s", out.Path)
	u.Resultf("        %s (was %s), %s, %.2f bits a weight", format.Size(out.Bytes), format.Size(out.Before), j.Options.Params.Type.Name,
		8*float64(out.Bytes)/float64(out.Params))
	u.Resultf("        %s", tensorText(out.Tensors))
	u.Resultf("        SHA-256 %s", out.SHA256)
	if out.IMatrix != "" {
		u.Resultf("imatrix %s", out.IMatrix)
	}
	return u.JSON(newQuantizeJSON(j, out))
}

// tensorText lists how many tensors have which type: "13 F32, 84 Q4_K".
func tensorText(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ") + " tensors"
}

// printQuantized prints what came of --quantize and --imatrix-out.
func printQuantized(u *ui.UI, w *write.Result) {
	if w.IMatrix != "" {
		defer u.Resultf("imatrix %s", w.IMatrix)
	}
	q := w.Quantized
	if q == nil {
		return
	}
	if q.Pruned == nil {
		u.Resultf("quant   %s, not checked", q.Type.Name)
	} else {
		u.Resultf("quant   %s, passed: KL divergence %.3g from the pruned model, %.3g for the whole model quantised so (at most x%.1f)",
			q.Type.Name, q.Pruned.KLD, q.Whole.KLD, q.Most)
		u.Resultf("        PPL %.4f quantised", q.PPL.PPL)
	}
}

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

func newQuantizeJSON(j quantize.Job, out *quantize.Outcome) quantizeJSON {
	return quantizeJSON{
		Command: "quantize", Model: j.In, Type: j.Options.Params.Type.Name, Path: out.Path, Bytes: out.Bytes, Before: out.Before,
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

func newQuantizedJSON(q *write.Quantized) *quantizedJSON {
	if q == nil {
		return nil
	}
	j := &quantizedJSON{Type: q.Type.Name, Before: q.Before}
	if q.Pruned != nil {
		j.Passed, j.MaxNoise = true, q.Most
		j.Noise, j.Whole = newNoiseJSON(q.Pruned), newNoiseJSON(q.Whole)
		j.PPL, j.PPLError = jsonnum.Known(q.PPL.PPL), jsonnum.Known(q.PPL.StdErr)
	}
	return j
}

func newNoiseJSON(n *write.Noise) *noiseJSON { return &noiseJSON{n.NMSE, n.KLD, n.MaxAbsDiff} }
