package render

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

func exampleKL(divergence float64) *kld.Report {
	return &kld.Report{
		Positions: 300, PPL: kld.Mean{Value: 7.5, StdErr: 0.25}, Ratio: kld.Mean{Value: 1.25, StdErr: 0.01},
		LnRatio: kld.Mean{Value: 0.2231436, StdErr: 0.008}, Correlation: 0.98765, KLD: kld.Mean{Value: divergence, StdErr: 0.001},
		KLDs:   kld.Quantiles{Median: 0.1, P99: 0.9, P999: 1.5, Max: 2},
		DeltaP: kld.Mean{Value: -0.0123, StdErr: 0.001}, RMSDeltaP: kld.Mean{Value: 0.05, StdErr: 0.002},
		SameTop: kld.Mean{Value: 0.875, StdErr: 0.005},
	}
}

func exampleComparison() *compare.Comparison {
	speed := func(x float64) *compare.Speed {
		r := func(v float64) compare.Rate { return compare.Rate{Mean: v, StdDev: v / 100, Repeats: 5} }
		return &compare.Speed{
			Prompt: r(200 * x), Generate: r(20 * x), PromptRatio: r(x), GenerateRatio: r(x), Load: 1234 * time.Millisecond, KVPer1k: 96 << 20,
		}
	}
	first := speed(1)
	first.PromptRatio, first.GenerateRatio = compare.Rate{}, compare.Rate{}
	return &compare.Comparison{
		Text: "t.txt", Context: 128, Batch: 2048, UBatch: 512, Windows: 5, Positions: 300,
		Speed: &compare.SpeedTest{Prompt: 512, Generate: 128, Repeats: 5},
		Rows: []compare.Row{
			{Label: "original", Path: "a.gguf", Arch: "llama", Type: "Q8_0", Bytes: 8 << 30, Params: 8e9, PPL: kld.Mean{Value: 6, StdErr: 0.2}, Speed: first},
			{
				Label: "pruned", Path: "b.gguf", Arch: "deci", Type: "Q8_0", Bytes: 6 << 30, Params: 6e9, PPL: kld.Mean{Value: 7.5, StdErr: 0.25},
				KL: exampleKL(0.25), Speed: speed(1.3),
			},
			{
				Label: "Q5_K_M", Arch: "llama", Type: "Q5_K_M", Bytes: 11 << 29, Params: 8e9, PPL: kld.Mean{Value: math.Inf(1)},
				KL: exampleKL(0.01), Speed: speed(1.1),
			},
		},
		Rival: &compare.Rival{Type: "Q5_K_M", Label: "Q5_K_M", Bytes: 11 << 29, Origin: compare.Requantized, From: "Q6_K", Note: "Requantised."}, Verdict: "It depends.",
	}
}

func TestComparisonTable(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	u := ui.New(ui.Options{Out: &out, Err: &errs, Getenv: func(string) string { return "" }})
	if err := Comparison(u, exampleComparison()); err != nil {
		t.Fatal(err)
	}
	want := `Comparison: t.txt, -c 128 -b 2048 -ub 512 --chunks 5, 300 positions
                                         original                 pruned                 Q5_K_M
-------------------------------------------------------------------------------------------------
PPL                         6.000000 +/- 0.200000  7.500000 +/- 0.250000      +Inf +/- 0.000000
PPL ratio                                          1.250000 +/- 0.010000  1.250000 +/- 0.010000
ln PPL ratio                                       0.223144 +/- 0.008000  0.223144 +/- 0.008000
correlation of ln PPL                                             98.77%                 98.77%
KLD mean                                           0.250000 +/- 0.001000  0.010000 +/- 0.001000
KLD median                                                      0.100000               0.100000
KLD 99%                                                         0.900000               0.900000
KLD 99.9%                                                       1.500000               1.500000
KLD max                                                         2.000000               2.000000
mean change of p                                       -1.230 +/- 0.100%      -1.230 +/- 0.100%
RMS change of p                                         5.000 +/- 0.200%       5.000 +/- 0.200%
same top token                                         87.500 +/- 0.500%      87.500 +/- 0.500%
file                                     8.00 GiB               6.00 GiB               5.50 GiB
parameters                                  8.00B                  6.00B                  8.00B
type                                         Q8_0                   Q8_0                 Q5_K_M
prompt tokens/s (pp512)           200.00 +/- 2.00        260.00 +/- 2.60        220.00 +/- 2.20
  in turns with the first                                 x1.30 +/- 0.01         x1.10 +/- 0.01
generated tokens/s (tg128)         20.00 +/- 0.20         26.00 +/- 0.26         22.00 +/- 0.22
  in turns with the first                                 x1.30 +/- 0.01         x1.10 +/- 0.01
KV cache per 1k tokens                  96.00 MiB              96.00 MiB              96.00 MiB
load time                                  1.23 s                 1.23 s                 1.23 s
It depends.
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Without speeds, and with a base file in place of the first model: no empty rows, no cells of what a base file lacks.
func TestComparisonTableOfBaseFile(t *testing.T) {
	t.Parallel()
	c := exampleComparison()
	c.BaseLogits, c.Speed, c.Rival, c.Verdict = "base.kld", nil, nil, ""
	c.Rows = []compare.Row{{Label: "base logits", Path: "base.kld", PPL: kld.Mean{Value: 6}}, c.Rows[1]}
	c.Rows[1].Speed = nil
	c.Rows[1].Label = "a-model-whose-name-is-long-and-says-it-all-Q8_0.gguf"
	var out bytes.Buffer
	if err := Comparison(ui.New(ui.Options{Out: &out, Err: &out, Getenv: func(string) string { return "" }}), c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"base logits  a-model-whose..s-it-all-Q8_0\n", "\nfile                                                              6.00 GiB\n"} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	for _, not := range []string{"tokens/s", "KV cache", "0.000 GiB"} {
		if bytes.Contains(out.Bytes(), []byte(not)) {
			t.Errorf("%q is in\n%s", not, &out)
		}
	}
}

func TestComparisonJSON(t *testing.T) {
	t.Parallel()
	got := marshal(t, compareJSON{Command: "compare", Comparison: newComparisonJSON(exampleComparison())})
	quantiles := func(median, p99, p999, largest float64) map[string]any {
		return map[string]any{
			"min": 0.0, "p0_1": 0.0, "p1": 0.0, "p5": 0.0, "p10": 0.0, "p25": 0.0, "median": median, "p75": 0.0, "p90": 0.0, "p95": 0.0,
			"p99": p99, "p99_9": p999, "max": largest,
		}
	}
	divergence := func(kld float64) map[string]any {
		return map[string]any{
			"ppl_ratio": 1.25, "ppl_ratio_stderr": 0.01, "ln_ppl_ratio": 0.2231436, "ln_ppl_ratio_stderr": 0.008, "ln_ppl_correlation": 0.98765,
			"kld": kld, "kld_stderr": 0.001, "kld_quantiles": quantiles(0.1, 0.9, 1.5, 2), "delta_p": -0.0123, "delta_p_stderr": 0.001,
			"delta_p_quantiles": quantiles(0, 0, 0, 0), "delta_p_rms": 0.05, "delta_p_rms_stderr": 0.002, "same_top": 0.875, "same_top_stderr": 0.005,
		}
	}
	speed := func(x float64) map[string]any {
		return map[string]any{
			"prompt_tps": 200 * x, "prompt_tps_stddev": 2 * x, "prompt_ratio": x, "prompt_ratio_stddev": x / 100,
			"generate_tps": 20 * x, "generate_tps_stddev": 20 * x / 100, "generate_ratio": x, "generate_ratio_stddev": x / 100,
			"repetitions": 5.0, "kv_bytes_per_1k": float64(96 << 20), "load_s": 1.234,
		}
	}
	first := speed(1)
	for _, name := range []string{"prompt_ratio", "prompt_ratio_stddev", "generate_ratio", "generate_ratio_stddev"} {
		delete(first, name)
	}
	want := map[string]any{"command": "compare", "comparison": map[string]any{
		"text": "t.txt", "n_ctx": 128.0, "n_batch": 2048.0, "n_ubatch": 512.0, "sequences": 5.0, "positions": 300.0, "n_prompt": 512.0, "n_gen": 128.0,
		"models": []any{
			map[string]any{
				"label": "original", "model": "a.gguf", "arch": "llama", "type": "Q8_0", "bytes": float64(8 << 30), "params": 8e9,
				"ppl": 6.0, "ppl_stderr": 0.2, "speed": first,
			},
			map[string]any{
				"label": "pruned", "model": "b.gguf", "arch": "deci", "type": "Q8_0", "bytes": float64(6 << 30), "params": 6e9,
				"ppl": 7.5, "ppl_stderr": 0.25, "divergence": divergence(0.25), "speed": speed(1.3),
			},
			map[string]any{
				"label": "Q5_K_M", "arch": "llama", "type": "Q5_K_M", "bytes": float64(11 << 29), "params": 8e9,
				"ppl": nil, "ppl_stderr": 0.0, "divergence": divergence(0.01), "speed": speed(1.1),
			},
		},
		"rival": map[string]any{
			"type": "Q5_K_M", "bytes": float64(11 << 29), "label": "Q5_K_M", "origin": "requantized", "requantized_from": "Q6_K", "note": "Requantised.",
		}, "verdict": "It depends.",
	}}
	equal := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(a) })
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if m := Measured(exampleComparison()); m[2].Role != page.Rival || m[2].Note != "Requantised." {
		t.Errorf("drawn: %+v", m[2])
	}
	if newComparisonJSON(nil) != nil {
		t.Error("no comparison is not null")
	}
}
