package search

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
)

const someSHA = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// samplePlan is what a search over a model of 4 layers gives; one candidate of its first step explodes.
func samplePlan(t testing.TB, unit blockmask.Unit, blocks int) *Plan {
	t.Helper()
	model := plainModel(4)
	score := func(m blockmask.Mask) float64 {
		if m.Has(blockmask.Block{Layer: 0, Kind: blockmask.FFN}) {
			return math.Inf(1)
		}
		return hashed(9, 100000)(m) / 3
	}
	goal := Goal{Blocks: blocks}
	r, err := Run(t.Context(), Greedy{&synthetic{score: score}}, model, unit, goal, nil)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := model.Size(nil)
	return &Plan{
		Tool: "v1.0.0", LlamaCpp: "v0.5.0",
		Model: PlanModel{
			Path: "m \"x\" {\n.gguf", SHA256: someSHA, Arch: "llama",
			Params: model.Total, Size: size, Blocks: blockmask.New(model.Blocks...),
		},
		Calibration: Calibration{Description: "built in", TokensSHA256: someSHA, Convention: "samples", Context: 512, Sequences: 3, Tokens: 700},
		Metric:      "ppl",
		Settings:    Settings{Strategy: "greedy", Unit: unit, Goal: goal},
		Base:        r.Base, Steps: r.Steps,
	}
}

func TestPlanRoundTrip(t *testing.T) {
	for _, unit := range blockmask.Units() {
		p := samplePlan(t, unit, 3)
		path := filepath.Join(t.TempDir(), "plan.json")
		if err := WritePlan(path, p); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlan(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Errorf("%s: -written +read\n%s", unit, diff)
		}
		again, err := got.Encode()
		if data, _ := os.ReadFile(path); err != nil || string(again) != string(data) {
			t.Errorf("%s: the plan read back encodes otherwise: %v", unit, err)
		}
	}
}

// A plan of fast and refine keeps what greedy's has not: estimates, costs, the audit and what refinement did.
func TestPlanOfFastRoundTrip(t *testing.T) {
	p := samplePlan(t, blockmask.Mix, 3)
	model := plainModel(4)
	model.Rest, model.Times = 1, map[blockmask.Block]float64{}
	for _, b := range model.Blocks {
		model.Times[b] = 1
	}
	l := newLedger(t, &texts{n: 32, mean: layered("plan"), noise: .03, branches: true}, model)
	f, re := NewFast(l, 5), refineOf(l, nil, "", Goal{}, 5)
	r, refined, err := RunRefine(t.Context(), f, re, NewFast(l, 6), model, blockmask.Mix, Goal{Blocks: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Base, p.Steps, p.Audit, p.Refine, p.Metric = r.Base, r.Steps, &f.Seen, refined, "kld"
	p.Settings = Settings{
		Strategy: "refine", Unit: blockmask.Mix, Goal: Goal{Speedup: 1.3}, Seed: 5,
		Confidence: f.Rule.Confidence, Tolerance: f.Rule.Tolerance, Finalists: f.Rule.Finalists, Admit: 9, AuditEvery: 4,
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePlan(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("-written +read\n%s", diff)
	}
	for _, want := range []string{`, "sequences": 4}`, `"audit": {`, `"refine": {`, `"speedup": 1.`, `"paper_cost": `, `"confidence": 0.9,`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("plan lacks %s:\n%s", want, data)
		}
	}
}

// What the file looks like is a promise to people and programs.
func TestPlanFileForPeople(t *testing.T) {
	data, err := samplePlan(t, blockmask.Mix, 2).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"format": "ggufprune-plan",`, `"version": 1,`, `"blocks": "attn:0-3,ffn:0-3"`, `"path": "m \"x\" {\n.gguf"`,
		"\n        {\"block\": \"ffn:0\", \"score\": null},\n", "\n        {\"block\": \"attn:0\", \"score\": ",
		`"goal": {` + "\n      \"blocks\": 2\n    }", `"params_removed_ratio": 0.`, `"size_bytes": `,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("plan lacks %s:\n%s", want, data)
		}
	}
	if lines := strings.Count(string(data), "\n"); lines > 80 {
		t.Errorf("%d lines for two steps", lines)
	}
}

func TestWritePlanReplacesAndFailsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := samplePlan(t, blockmask.Mix, 2)
	bad := *p
	bad.Metric = ""
	if err := WritePlan(path, &bad); err == nil {
		t.Error("an unreadable plan was written")
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("after a failure: %q", data)
	}
	if err := WritePlan(path, p); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := WritePlan(filepath.Join(dir, "none", "plan.json"), p); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func TestPlanAccessors(t *testing.T) {
	p := samplePlan(t, blockmask.Mix, 3)
	for k := range 4 {
		blocks := p.Removed(k)
		if len(blocks) != k || !p.Mask(k).Equal(blockmask.New(blocks...)) || len(p.Scores(k)) != k {
			t.Errorf("%d steps: %v, %v", k, blocks, p.Scores(k))
		}
		if k > 0 && (blocks[k-1] != p.Steps[k-1].Removed[0].Block || p.Scores(k)[k-1] != p.Steps[k-1].Score) {
			t.Errorf("step %d: %v, %v", k, blocks, p.Scores(k))
		}
	}
}

func TestCheckModel(t *testing.T) {
	p := samplePlan(t, blockmask.Mix, 3)
	blocks := plainModel(4).Blocks
	if err := p.CheckModel(someSHA, blocks); err != nil {
		t.Error(err)
	}
	other := strings.Repeat("f", 64)
	err := p.CheckModel(other, blocks)
	var mismatch *ModelMismatchError
	if !errors.As(err, &mismatch) || mismatch.Have != other || !strings.Contains(err.Error(), "0123456789ab...") {
		t.Errorf("other model: %v", err)
	}
	if err := p.CheckModel(someSHA, nil); err == nil || !strings.Contains(err.Error(), "no block") {
		t.Errorf("model without blocks: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	p := samplePlan(t, blockmask.Mix, 4)
	p.Steps[1].Size = 0 // unknown
	double := func(m blockmask.Mask) (int64, error) {
		if len(m) == 1 {
			return 0, errors.New("refused")
		}
		return 1000 - 100*int64(len(m)), nil
	}
	for _, tt := range []struct {
		goal Goal
		size func(blockmask.Mask) (int64, error)
		want int
	}{
		{Goal{Blocks: 1}, nil, 1},
		{Goal{Blocks: 4}, nil, 4},
		{Goal{Ratio: p.Steps[2].Ratio}, nil, 3},
		{Goal{Ratio: p.Steps[2].Ratio + 1e-9}, nil, 4},
		{Goal{Size: p.Steps[0].Size}, nil, 1},
		{Goal{Size: p.Steps[0].Size - 1}, nil, 3},
		{Goal{Size: 900}, double, 2},
		{Goal{Size: 700}, double, 3},
	} {
		if k, err := p.Prefix(tt.goal, tt.size); err != nil || k != tt.want {
			t.Errorf("Prefix(%+v) = %d, %v; want %d", tt.goal, k, err, tt.want)
		}
	}
	var goal *GoalError
	for _, g := range []Goal{{Blocks: 5}, {Ratio: 0.9}, {Size: 10}, {}, {Ratio: 1}} {
		if k, err := p.Prefix(g, nil); !errors.As(err, &goal) || k != 0 {
			t.Errorf("Prefix(%+v) = %d, %v", g, k, err)
		}
	}
	if _, err := p.Prefix(Goal{Blocks: 5}, nil); !strings.Contains(err.Error(), "4 blocks, ") || !strings.Contains(err.Error(), "search again") {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := (&Plan{}).Prefix(Goal{Blocks: 1}, nil); err == nil || !strings.Contains(err.Error(), "removes nothing") {
		t.Errorf("empty plan: %v", err)
	}
}

func TestLayerStepsCountBlocks(t *testing.T) {
	p := samplePlan(t, blockmask.Whole, 4)
	if k, err := p.Prefix(Goal{Blocks: 3}, nil); err != nil || k != 2 || !slices.IsSortedFunc(p.Mask(2).Blocks(), blockmask.Compare) {
		t.Errorf("3 blocks of whole layers: %d steps, %v", k, err)
	}
}
