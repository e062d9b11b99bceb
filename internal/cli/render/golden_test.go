package render

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/inspect"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/publish"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds what a command prints, standard error behind standard output, and its JSON object equal to testdata/golden.
func golden(t *testing.T, name string, show func(u *ui.UI) error) {
	t.Helper()
	for _, asJSON := range []bool{false, true} {
		var stdout, stderr strings.Builder
		err := show(ui.New(ui.Options{Out: &stdout, Err: &stderr, JSON: asJSON, Getenv: func(string) string { return "" }}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path, got := filepath.Join("testdata", "golden", name+".txt"), stdout.String()+stderr.String()
		if asJSON {
			path, got = strings.TrimSuffix(path, ".txt")+".json", stdout.String()
		}
		// The versions of this program and of its llama.cpp are not what is looked at.
		got = strings.NewReplacer(version.Tool(), "ggufprune VERSION", runtime.Version(), "GO", runtime.GOOS+"/"+runtime.GOARCH, "PLATFORM").Replace(got)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; write it with: go test ./internal/cli/render -run Golden -update", err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

func mask(s string) blockmask.Mask {
	m, err := blockmask.Parse(s)
	if err != nil {
		panic(err)
	}
	return m
}

// fullOutcome has everything that prune can do.
func fullOutcome() *prune.Outcome {
	o := exampleOutcome()
	o.Model.Bytes, o.Model.Params = 8<<30, 8e9
	o.Plan.Settings = search.Settings{Strategy: "fast", Unit: blockmask.Mix, Sequences: 1}
	o.Plan.Audit = &search.Audit{Audits: 2, Missed: 1, WorstLoss: 0.0123}
	o.Plan.HeldOut = &plan.HeldOut{Sequences: 16, Tokens: 900, Ratio: ptr(1.12), SeenRatio: ptr(1.1), Verdict: perplexity.CarriesOver}
	o.Steps = []search.Step{
		{
			Index: 1, Removed: mask("attn:3"), Score: 6.25, ParamsRemoved: 1e8, Ratio: 0.0125, Size: 7 << 30, Speedup: 1.04, Cost: 10, PaperCost: 100,
			Candidates: []search.Candidate{{Mask: mask("attn:3"), Score: 6.25, Sequences: 1}},
		},
		{Index: 2, Removed: mask("ffn:2"), Score: 6.6, ParamsRemoved: 3e8, Ratio: 0.0375, Size: 6 << 30, Speedup: 1.17, Cost: 12, PaperCost: 90},
	}
	o.Removed = mask("attn:3,ffn:2")
	o.Write.Bytes, o.Write.Layout = 6<<30, &layout.Result{Kind: layout.Deci, ParamsRemoved: 3e8, ParamsTotal: 8e9, Params: 7.75e9}
	o.Write.Check.Masked.PPL, o.Write.Check.Written = 7.25, perplexity.Estimate{PPL: 7.25, StdErr: 0.125, Convention: perplexity.Windows, Sequences: 3}
	o.Write.IMatrix = "o.imatrix"
	o.Write.Quantized = &write.Quantized{
		Type: engine.FileType{Name: "Q4_K_M"}, Before: 12 << 30, Pruned: &write.Noise{NMSE: 1e-4, KLD: 0.02, MaxAbsDiff: 0.5},
		Whole: &write.Noise{NMSE: 8e-5, KLD: 0.015, MaxAbsDiff: 0.4}, Most: 2.5, PPL: perplexity.Estimate{PPL: 7.5, StdErr: 0.25},
	}
	o.Repair = &fit.Result{
		Weights: map[string][]byte{"blk.2.attn_output.weight": nil}, Positions: 36864, NLLBefore: math.Log(12), NLLAfter: math.Log(10),
		Blocks: []fit.Block{
			{Block: mask("attn:2")[0].Block, Tensor: "blk.2.attn_output.weight", Method: fit.Full, Lambda: 0.1, Before: 0.02, After: 0.01},
			{Block: mask("ffn:3")[0].Block, Tensor: "blk.3.ffn_down.weight", Method: fit.Full, Before: 0.02, Skipped: "no fit lowers the held-out loss"},
		},
	}
	o.Publish = &publish.Publication{Modelfile: "o.Modelfile", Name: "m:pruned"}
	o.Raised = map[string]gguf.Type{"blk.2.attn_output.weight": gguf.F16}
	o.Comparison = exampleComparison()
	repaired := o.Comparison.Rows[1]
	repaired.Label, repaired.Pruned, repaired.KL = compare.Repaired, compare.Repaired, exampleKL(0.125)
	o.Comparison.Rows[1].Path, o.Comparison.Rows[1].Pruned, o.Comparison.Rows[1].Speed = "", compare.Pruned, nil
	o.Comparison.Rows = slices.Insert(o.Comparison.Rows, 2, repaired)
	return o
}

// reported are the files of a report.
var reported = &report.Written{Page: "r.html", Card: "README.md", Charts: []string{"charts/curve-size.svg", "charts/curve-size.png"}}

func TestGoldenOutcomes(t *testing.T) {
	t.Parallel()
	golden(t, "prune", func(u *ui.UI) error { return Outcome(u, "prune", fullOutcome(), "plan.json", reported) })

	refined := exampleOutcome()
	refined.Write = nil
	refined.Plan.Metric, refined.Plan.Base = perplexity.KLD.String(), 0
	refined.Plan.Settings = search.Settings{Strategy: "refine", Unit: blockmask.Whole}
	refined.Plan.Refine = &search.Refined{
		Start: mask("attn:1"), Score: 0.05, StartScore: 0.06, Validation: 0.055, StartValidation: 0.0625, Generations: 4, Accepted: 2, Rejected: 1,
	}
	refined.Steps[0].Score = 0.05
	golden(t, "search", func(u *ui.UI) error { return Outcome(u, "search", refined, "plan.json", nil) })

	exported := exampleOutcome()
	exported.Write, exported.Order = nil, "order.json"
	golden(t, "search-order", func(u *ui.UI) error { return Outcome(u, "search", exported, "plan.json", nil) })

	byOrder := exampleOutcome()
	byOrder.Plan = &plan.Plan{Order: "order.json", Base: math.NaN()}
	byOrder.Steps[0].Score = math.NaN()
	golden(t, "apply-order", func(u *ui.UI) error { return Outcome(u, "apply", byOrder, "", nil) })

	byMask := exampleOutcome()
	byMask.Plan, byMask.Steps, byMask.Write.Check = nil, nil, nil
	byMask.Repair = &fit.Result{Undone: true, Positions: 4096, NLLBefore: 2, NLLAfter: 2.5, Blocks: []fit.Block{}}
	byMask.Publish = &publish.Publication{Modelfile: "o.Modelfile"}
	golden(t, "apply", func(u *ui.UI) error { return Outcome(u, "apply", byMask, "", nil) })

	golden(t, "apply-several", func(u *ui.UI) error {
		s := NewSeries(u)
		s.Add(exampleOutcome())
		return s.Done(nil)
	})
	failed := exampleOutcome()
	failed.Comparison = exampleComparison()
	failed.Publish = &publish.Publication{Modelfile: "o.Modelfile", Err: errors.New("no space")}
	for _, asJSON := range []bool{false, true} {
		var stdout, stderr strings.Builder
		show := ui.New(ui.Options{Out: &stdout, Err: &stderr, JSON: asJSON, Getenv: func(string) string { return "" }})
		err := Outcome(show, "prune", failed, "", reported)
		if err == nil || err.Error() != "no space" {
			t.Errorf("of what Ollama refused: %v", err)
		}
		want := []string{"KLD", "o.Modelfile", "r.html", "llama-cli -m"} // the comparison, the names, what is next
		if asJSON {
			want = []string{`"comparison": {`, `"modelfile": "o.Modelfile"`, `"report": {`}
		}
		for _, text := range want {
			if !strings.Contains(stdout.String()+stderr.String(), text) {
				t.Errorf("beside what Ollama refused, JSON %v, %q is missing", asJSON, text)
			}
		}
		stdout.Reset()
		series := NewSeries(show)
		series.Add(failed)
		if err := series.Done(nil); err == nil || err.Error() != "no space" || asJSON != strings.Contains(stdout.String(), `"results": [`) {
			t.Errorf("of several files, JSON %v: %v, %s", asJSON, err, stdout.String())
		}
		stdout.Reset()
		if err := series.Done(errors.New("interrupted")); err == nil || strings.Contains(stdout.String(), `"results"`) {
			t.Errorf("of a run that failed: %v, %s", err, stdout.String())
		}
	}
}

func TestGoldenInspect(t *testing.T) {
	t.Parallel()
	in := &inspect.Inspection{
		Facts: exampleOutcome().Model, Name: "A model", Description: "llama ?B Q8_0", Context: 4096, Vocabulary: 32000,
		Blocks: []inspect.InspectedBlock{{Block: mask("attn:0")[0].Block, Weights: layout.Weights{Params: 10, Bytes: 12}}},
		Layouts: []inspect.InspectedLayout{
			{Case: "one attention", Mask: mask("attn:1"), Kind: layout.Deci, Exact: true, Bytes: 90},
			{Case: "one FFN", Mask: mask("ffn:1"), Refused: "a reason"},
		},
	}
	show := func(u *ui.UI) error { return Inspection(u, in) }
	golden(t, "inspect", show)
	in.Reason, in.Blocks, in.Layouts = "two streams meet", nil, nil
	golden(t, "inspect-unsupported", show)
}

func TestGoldenQuantize(t *testing.T) {
	t.Parallel()
	golden(t, "quantize", func(u *ui.UI) error {
		return Quantize(u, quantize.Job{
			In: "a.gguf", Options: quantize.Options{Params: engine.QuantizeParams{Type: engine.FileType{Name: "Q4_K_M"}}},
		}, &quantize.Outcome{
			Written: gguf.Written{Path: "b.gguf", Bytes: 5 << 30, SHA256: "cc"}, Before: 16 << 30, Params: 8e9,
			Tensors: map[string]int{"F32": 65, "Q4_K": 193, "Q6_K": 33}, IMatrix: "b.imatrix",
		})
	})
}

func TestGoldenObjects(t *testing.T) {
	t.Parallel()
	golden(t, "ppl", func(u *ui.UI) error {
		return PPL(u, &evaluate.PPLOutcome{
			Model: "m.gguf", Corpus: "text", Context: 512, Estimate: perplexity.Estimate{PPL: 6.5, StdErr: 0.25, Convention: perplexity.Windows, Sequences: 4},
		}, mask("attn:3"))
	})
	golden(t, "report", func(u *ui.UI) error {
		return Report(u, "plan.json", &report.Outcome{Steps: 2, Written: reported})
	})
	golden(t, "version", func(u *ui.UI) error {
		return Version(u, engine.Version{Tag: "LLAMA", Tree: "TREE"}, []engine.Device{{Name: "CPU", Description: "A CPU", Type: "cpu", Free: 1, Total: 2}})
	})
	golden(t, "demo", func(u *ui.UI) error {
		return Demo(u, exampleOutcome(), Sample{Prompt: "p", Original: "o. And more", Pruned: "q", Kept: true})
	})
	golden(t, "man", func(u *ui.UI) error { return Text(u, "man", ".TH\n") })
}

func TestGoldenCompareOllama(t *testing.T) {
	t.Parallel()
	c := &ollama.Comparison{
		Version: "0.17.4", Logprobs: true,
		Original: ollama.Side{
			Name: "m:8b", Load: 2 * time.Second, Memory: 8 << 30, VRAM: 4 << 30, Context: 4096, Prompt: ollama.Rate{Mean: 200, StdDev: 5, N: 2},
			Gen: ollama.Rate{Mean: 20, StdDev: 0.5, N: 2},
		},
		Pruned: ollama.Side{
			Name: "m:pruned", Load: time.Second, Memory: 6 << 30, Context: 4096, Prompt: ollama.Rate{Mean: 250, StdDev: 5, N: 2},
			Gen: ollama.Rate{Mean: 26, StdDev: 0.5, N: 2},
		},
		Pairs: []ollama.Pair{
			{
				Mode: ollama.Raw, Prompt: "One,\ntwo, ", Original: ollama.Answer{Text: "three", Tokens: []ollama.Token{{Text: "three", Logprob: -0.1}}},
				Pruned:     ollama.Answer{Text: "three", Tokens: []ollama.Token{{Text: "three", Logprob: -0.2}}},
				EqualChars: 5, EqualTokens: 1, Same: true, Mean: 0.1, Max: 0.1,
			},
			{
				Mode: ollama.Chat, Prompt: "A question that is longer than the column for it is wide", Original: ollama.Answer{Text: "Yes.", Tokens: make([]ollama.Token, 2)},
				Pruned: ollama.Answer{Text: "No.", Tokens: make([]ollama.Token, 2)},
			},
		},
	}
	golden(t, "compare-ollama", func(u *ui.UI) error { return Ollama(u, c) })
}
