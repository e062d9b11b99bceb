package cli

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// job returns what the arguments of quantize ask for.
func job(t *testing.T, line string) (pipeline.QuantizeJob, error) {
	t.Helper()
	c := new(quantizeCommand)
	fs, _ := flagSet("quantize", c)
	if err := fs.Parse(normalizeArgs(fs, strings.Fields(line))); err != nil {
		t.Fatal(err)
	}
	return c.job(fs)
}

// Arguments are read as llama-quantize reads them: IN [OUT] TYPE [THREADS].
func TestQuantizeArguments(t *testing.T) {
	for line, want := range map[string]struct {
		out, typ string
		threads  int
	}{
		"in.gguf out.gguf Q4_K_M":        {"out.gguf", "Q4_K_M", llamabind.PhysicalCores()},
		"in.gguf out.gguf q4_k 3":        {"out.gguf", "Q4_K_M", 3},
		"models/in.gguf 7 2":             {"models/ggml-model-Q8_0.gguf", "Q8_0", 2},
		"--pure in.gguf Q8_0 -t 5":       {"ggml-model-Q8_0.gguf", "Q8_0", 5},
		"in.gguf out.gguf IQ3_M --force": {"out.gguf", "IQ3_M", llamabind.PhysicalCores()},
	} {
		j, err := job(t, line)
		p := j.Quantize.Params
		if err != nil || j.Out != want.out || p.Type.Name != want.typ || p.Threads != want.threads || p.Pure != strings.Contains(line, "--pure") {
			t.Errorf("%s: %+v, %v", line, j, err)
		}
	}
	j, err := job(t, "a b Q4_0 --tensor-type Attn_V=q6_K --tensor-type x=y=F16 --output-tensor-type Q8_0 --leave-output-tensor")
	want := []engine.TensorRule{{Pattern: "attn_v", Type: uint32(gguf.Q6_K)}, {Pattern: "x=y", Type: uint32(gguf.F16)}}
	if p := j.Quantize.Params; err != nil || cmp.Diff(want, p.TensorTypes) != "" || *p.OutputType != uint32(gguf.Q8_0) || p.EmbeddingType != nil || !p.LeaveOutput {
		t.Errorf("%+v, %v", j.Quantize, err)
	}
	for _, line := range []string{"", "a", "a b", "a b c", "a b Q4_0 0", "a b Q4_0 x", "a b Q4_0 1 2", "a b Q4_0 --tensor-type q", "a b Q4_0 --tensor-type =q6_K"} {
		if _, err := job(t, line); ExitCode(err) != ExitUsage {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestQuantizedJSON(t *testing.T) {
	q4, _ := llamabind.ParseFileType("Q4_0")
	out := exampleOutcome()
	out.Write.IMatrix = "i.gguf"
	out.Write.Quantized = &pipeline.Quantized{
		Type: q4, Before: 200, Pruned: &pipeline.Noise{NMSE: 2, KLD: 3, MaxAbsDiff: 4}, Whole: &pipeline.Noise{NMSE: 1}, Most: 2.5,
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
	j := pipeline.QuantizeJob{In: "m.gguf"}
	j.Quantize.Params.Type = q4
	got = marshal(t, newQuantizeJSON(j, &pipeline.QuantizeOutcome{
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
