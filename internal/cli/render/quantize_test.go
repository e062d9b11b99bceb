package render

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/perplexity"
)

func TestQuantizedJSON(t *testing.T) {
	t.Parallel()
	q4, _ := enginetest.Runtime{}.ParseFileType("Q4_0")
	out := exampleOutcome()
	out.Write.IMatrix = "i.gguf"
	out.Write.Quantized = &write.Quantized{
		Type: q4, Before: 200, Pruned: &write.Noise{NMSE: 2, KLD: 3, MaxAbsDiff: 4}, Whole: &write.Noise{NMSE: 1}, Most: 2.5,
		PPL: perplexity.Estimate{PPL: 8, StdErr: math.NaN()},
	}
	got := marshal(t, newResultJSON("apply", out, ""))
	want := map[string]any{
		"type": "Q4_0", "bytes_before": 200.0, "passed": true, "max_noise": 2.5, "ppl": 8.0,
		"noise":       map[string]any{"nmse": 2.0, "kld": 3.0, "max_abs_diff": 4.0},
		"noise_whole": map[string]any{"nmse": 1.0, "kld": 0.0, "max_abs_diff": 0.0},
	}
	if d := cmp.Diff(want, got["quantized"]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if output := got["output"].(map[string]any); output["imatrix"] != "i.gguf" {
		t.Errorf("output %v", output)
	}
	out.Write.Quantized.Pruned = nil
	got = marshal(t, newResultJSON("apply", out, ""))
	if d := cmp.Diff(map[string]any{"type": "Q4_0", "bytes_before": 200.0, "passed": false}, got["quantized"]); d != "" {
		t.Errorf("unchecked (-want +got):\n%s", d)
	}
	j := quantize.Job{In: "m.gguf"}
	j.Options.Params.Type = q4
	got = marshal(t, newQuantizeJSON(j, &quantize.Outcome{
		Written: gguf.Written{Path: "o.gguf", Bytes: 5, SHA256: "aa"}, Before: 9, Params: 3, Tensors: map[string]int{"F32": 1},
	}))
	want = map[string]any{
		"command": "quantize", "model": "m.gguf", "type": "Q4_0", "path": "o.gguf", "bytes": 5.0, "bytes_before": 9.0, "params": 3.0,
		"sha256": "aa", "tensors": map[string]any{"F32": 1.0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("quantize (-want +got):\n%s", d)
	}
}
