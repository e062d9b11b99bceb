package render

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/inspect"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// section returns the part of docs/CLI_JSON.md under a heading, up to the next heading of the same or a higher level.
func section(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/CLI_JSON.md has no heading %q", heading)
	}
	for _, next := range []string{"\n## ", "\n### "} {
		if len(next) <= len(heading)+2 || strings.HasPrefix(heading, "## ") {
			rest, _, _ = strings.Cut(rest, next)
		}
	}
	return rest
}

// Every field of every object is documented under the object's heading.
func TestJSONIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/CLI_JSON.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[reflect.Type]string{}
	for _, c := range []struct {
		heading string
		object  any
	}{
		{"## prune, search, apply", resultJSON{}},
		{"### Model", modelJSON{}},
		{"### Calibration", calibrationJSON{}},
		{"### Step", stepJSON{}},
		{"### Shape", plan.Shape{}},
		{"### Kind of text", plan.Kind{}},
		{"### Task", plan.Task{}},
		{"### Audit", search.Audit{}},
		{"### Refine", refineJSON{}},
		{"### Held-out text", plan.HeldOut{}},
		{"### Calibration", plan.SelfText{}},
		{"### Several files", seriesJSON{}},
		{"### Repair", repairJSON{}},
		{"### Repaired block", repairBlockJSON{}},
		{"### Output", outputJSON{}},
		{"### Check", checkJSON{}},
		{"### Quantized", quantizedJSON{}},
		{"### Noise", noiseJSON{}},
		{"## quantize", quantizeJSON{}},
		{"## compare", compareJSON{}},
		{"### Comparison", comparisonJSON{}},
		{"### Compared model", comparedJSON{}},
		{"### Divergence", divergenceJSON{}},
		{"### Divergence", quantilesJSON{}},
		{"### Speed", speedJSON{}},
		{"### Comparison", rivalJSON{}},
		{"### Report files", reportFilesJSON{}},
		{"## report", reportJSON{}},
		{"## ppl", pplJSON{}},
		{"## eval", evalJSON{}},
		{"## eval", taskJSON{}},
		{"## eval", meanJSON{}},
		{"## inspect", inspectJSON{}},
		{"## inspect", inspectedBlockJSON{}},
		{"## inspect", inspectedLayoutJSON{}},
		{"## demo", demoJSON{}},
		{"## version", versionJSON{}},
		{"## version", deviceJSON{}},
		{"## completion, man", textJSON{}},
	} {
		documented[reflect.TypeOf(c.object)] = section(t, string(text), c.heading)
	}
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || (typ.Kind() == reflect.Slice && typ != reflect.TypeFor[blockmask.Mask]()) {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		doc, ok := documented[typ]
		if !ok {
			t.Errorf("%v has no section in docs/CLI_JSON.md", typ)
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || !strings.Contains(doc, "`"+name+"`") {
				t.Errorf("%v.%s (%q) is not documented", typ, f.Name, name)
			}
			walk(f.Type)
		}
	}
	for _, object := range []any{resultJSON{}, seriesJSON{}, pplJSON{}, evalJSON{}, inspectJSON{}, demoJSON{}, versionJSON{}, quantizeJSON{}, compareJSON{}, reportJSON{}, textJSON{}} {
		walk(reflect.TypeOf(object))
	}
	if len(seen) != len(documented) {
		t.Errorf("%d types are reached, %d documented", len(seen), len(documented))
	}
}

// marshal encodes v as --json does, and returns the value that a reader gets.
func marshal(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func exampleOutcome() *prune.Outcome {
	attn := blockmask.New(blockmask.Block{Layer: 3, Kind: blockmask.Mixer})
	return &prune.Outcome{
		Model: source.Facts{LlamaCpp: "LLAMA", Path: "m.gguf", Arch: "llama", SHA256: "aa", Bytes: 100, Params: 40, Layers: 4, Blocks: 8},
		Plan: &plan.Plan{Metric: "ppl", Base: 6, Calibration: plan.Calibration{
			Description: "text", TokensSHA256: "bb", Convention: "samples", Context: 64, Sequences: 2, Tokens: 128,
		}},
		Steps:   []search.Step{{Index: 1, Removed: attn, Score: math.Inf(1), ParamsRemoved: 10, Ratio: 0.25, Size: 80}},
		Removed: attn,
		Write: &write.Result{
			Written: gguf.Written{Path: "o.gguf", Bytes: 80, SHA256: "cc"},
			Layout:  &layout.Result{Kind: layout.Deci, ParamsRemoved: 10, ParamsTotal: 40, Params: 31},
			Check: &write.Check{
				Rows: 5, Exact: true, Text: "text", Context: 32, Batch: 64, Masked: perplexity.Estimate{PPL: 7}, Written: perplexity.Estimate{
					PPL: 7, StdErr: math.NaN(), Convention: perplexity.Windows, Sequences: 3,
				},
			},
		},
	}
}

func TestResultJSON(t *testing.T) {
	t.Parallel()
	got := marshal(t, newResultJSON("prune", exampleOutcome(), "p.json"))
	want := map[string]any{
		"command": "prune", "tool": version.Tool(), "llama_cpp": "LLAMA", "model": "m.gguf", "metric": "ppl", "base_score": 6.0, "base_ppl": 6.0,
		"model_info": map[string]any{"arch": "llama", "sha256": "aa", "bytes": 100.0, "params": 40.0, "layers": 4.0, "blocks": 8.0},
		"calibration": map[string]any{
			"description": "text", "tokens_sha256": "bb", "convention": "samples", "n_ctx": 64.0, "sequences": 2.0, "tokens": 128.0,
		},
		"steps": []any{map[string]any{
			"block": "attn:3", "score": nil, "params_removed": 10.0, "params_removed_ratio": 0.25, "size_bytes": 80.0,
		}},
		"mask": "attn:3", "plan": "p.json",
		"output": map[string]any{
			"path": "o.gguf", "bytes": 80.0, "layout": "deci", "sha256": "cc", "params": 31.0, "params_removed": 10.0, "params_removed_ratio": 0.25,
		},
		"check": map[string]any{
			"passed": true, "positions": 5.0, "max_abs_diff": 0.0, "nmse": 0.0, "exact": true, "ppl_masked": 7.0, "ppl_written": 7.0,
			"ppl_written_stderr": nil, "convention": "windows", "text": "text", "n_ctx": 32.0, "n_batch": 64.0, "sequences": 3.0,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("prune (-want +got):\n%s", d)
	}
	out := exampleOutcome()
	out.Write = nil
	got = marshal(t, newResultJSON("search", out, "p.json"))
	if got["output"] != nil || got["check"] != nil || got["command"] != "search" {
		t.Errorf("search: %v", got)
	}
	out = exampleOutcome()
	out.Plan, out.Steps, out.Write.Check = nil, nil, nil
	got = marshal(t, newResultJSON("apply", out, ""))
	if d := cmp.Diff([]any{}, got["steps"]); d != "" || got["base_ppl"] != nil || got["plan"] != nil || got["check"] != nil {
		t.Errorf("apply of a mask: %v", got)
	}
	if _, err := json.Marshal(demoJSON{Result: newResultJSON("demo", out, "")}); err != nil {
		t.Errorf("demo: %v", err)
	}
}

func TestPPLJSON(t *testing.T) {
	t.Parallel()
	out := &evaluate.PPLOutcome{Model: "m.gguf", Corpus: "t.txt", Context: 64, Estimate: perplexity.Estimate{
		Convention: perplexity.Windows, PPL: math.Inf(1), StdErr: math.NaN(), Sequences: 2, Scored: 62,
	}}
	want := map[string]any{
		"command": "ppl", "model": "m.gguf", "mask": "", "text": "t.txt", "convention": "windows", "n_ctx": 64.0, "sequences": 2.0,
		"scored_tokens": 62.0, "ppl": nil, "ppl_stderr": nil,
	}
	if d := cmp.Diff(want, marshal(t, newPPLJSON(out, nil))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestInspectJSON(t *testing.T) {
	t.Parallel()
	got := marshal(t, newInspectJSON(&inspect.Inspection{Reason: "no blocks found"}))
	if got["supported"] != false || got["reason"] != "no blocks found" || len(got["blocks"].([]any)) != 0 || len(got["layouts"].([]any)) != 0 {
		t.Errorf("not supported: %v", got)
	}
	ffn := blockmask.Block{Layer: 2, Kind: blockmask.FFN}
	got = marshal(t, newInspectJSON(&inspect.Inspection{
		Blocks:  []inspect.InspectedBlock{{Block: ffn, Weights: layout.Weights{Params: 9, Bytes: 36}}},
		Layouts: []inspect.InspectedLayout{{Case: "one FFN", Mask: blockmask.New(ffn), Refused: "why"}},
	}))
	if d := cmp.Diff([]any{map[string]any{"block": "ffn:2", "params": 9.0, "bytes": 36.0}}, got["blocks"]); d != "" {
		t.Error(d)
	}
	want := []any{map[string]any{"case": "one FFN", "mask": "ffn:2", "exact": false, "bytes": 0.0, "refused": "why"}}
	if d := cmp.Diff(want, got["layouts"]); d != "" {
		t.Error(d)
	}
}
