package plan

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
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
	"github.com/ggufprune/ggufprune/search/strategy"
)

const someSHA = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// sample is what a search over a model of 4 layers gives; one candidate of its first step explodes.
func sample(t testing.TB, unit blockmask.Unit, blocks int) *Plan {
	t.Helper()
	model := searchtest.PlainModel(4)
	score := func(m blockmask.Mask) float64 {
		if m.Has(blockmask.Block{Layer: 0, Kind: blockmask.FFN}) {
			return math.Inf(1)
		}
		return searchtest.Hashed(9, 100000)(m) / 3
	}
	goal := search.Goal{Blocks: blocks}
	r, err := search.Run(t.Context(), strategy.Greedy{Scorer: &searchtest.Synthetic{Of: score}}, model, unit, goal, nil)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := model.Size(nil)
	return &Plan{
		Tool: "v1.0.0", LlamaCpp: "v0.5.0",
		Model: Model{
			Path: "m \"x\" {\n.gguf", SHA256: someSHA, Arch: "llama",
			Params: model.Total, Size: size, Blocks: blockmask.New(model.Blocks...),
		},
		Calibration: Calibration{Description: "built in", TokensSHA256: someSHA, Convention: "samples", Context: 512, Sequences: 3, Tokens: 700},
		Metric:      "ppl",
		Settings:    search.Settings{Strategy: "greedy", Unit: unit, Goal: goal},
		Base:        r.Base, Steps: r.Steps,
	}
}

func TestPlanRoundTrip(t *testing.T) {
	t.Parallel()
	for _, unit := range blockmask.Units() {
		p := sample(t, unit, 3)
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Errorf("%s: -written +read\n%s", unit, diff)
		}
		if again, err := got.Encode(); err != nil || string(again) != string(data) {
			t.Errorf("%s: the plan read back encodes otherwise: %v", unit, err)
		}
	}
}

// A plan of fast and refine keeps what greedy's has not: estimates, costs, the audit and what refinement did.
func TestPlanOfFastRoundTrip(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Mix, 3)
	model := searchtest.PlainModel(4)
	model.Rest, model.Times = 1, map[blockmask.Block]float64{}
	for _, b := range model.Blocks {
		model.Times[b] = 1
	}
	l := searchtest.NewLedger(t, &searchtest.Texts{N: 32, Mean: searchtest.Layered("plan"), Noise: .03, Branching: true}, model)
	half, other := strategy.Halves(32, 5)
	f := strategy.NewFast(l, 5)
	re := &strategy.Refine{Ledger: l, Rule: f.Rule, Seed: 5, Search: half, Validation: other}
	r, refined, err := strategy.RunRefine(t.Context(), f, re, strategy.NewFast(l, 6), model, blockmask.Mix, search.Goal{Blocks: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Base, p.Steps, p.Audit, p.Refine, p.Metric = r.Base, r.Steps, &f.Seen, refined, "kld"
	p.Settings = search.Settings{
		Strategy: "refine", Unit: blockmask.Mix, Goal: search.Goal{Speedup: 1.3}, Seed: 5,
		Confidence: f.Rule.Confidence, Tolerance: f.Rule.Tolerance, Finalists: f.Rule.Finalists, Admit: 9, AuditEvery: 4,
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
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
	t.Parallel()
	data, err := sample(t, blockmask.Mix, 2).Encode()
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

func TestPlanAccessors(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Mix, 3)
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
	t.Parallel()
	p := sample(t, blockmask.Mix, 3)
	blocks := searchtest.PlainModel(4).Blocks
	if err := p.CheckModel(someSHA, blocks); err != nil {
		t.Error(err)
	}
	other := strings.Repeat("f", 64)
	err := p.CheckModel(other, blocks)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) || mismatch.Have != other || !strings.Contains(err.Error(), "0123456789ab...") {
		t.Errorf("other model: %v", err)
	}
	if err := p.CheckModel(someSHA, nil); err == nil || !strings.Contains(err.Error(), "no block") {
		t.Errorf("model without blocks: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Mix, 4)
	p.Steps[1].Size = 0 // unknown
	double := func(m blockmask.Mask) (int64, error) {
		if len(m) == 1 {
			return 0, errors.New("refused")
		}
		return 1000 - 100*int64(len(m)), nil
	}
	for _, tt := range []struct {
		goal search.Goal
		size func(blockmask.Mask) (int64, error)
		want int
	}{
		{search.Goal{Blocks: 1}, nil, 1},
		{search.Goal{Blocks: 4}, nil, 4},
		{search.Goal{Ratio: p.Steps[2].Ratio}, nil, 3},
		{search.Goal{Ratio: p.Steps[2].Ratio + 1e-9}, nil, 4},
		{search.Goal{Size: p.Steps[0].Size}, nil, 1},
		{search.Goal{Size: p.Steps[0].Size - 1}, nil, 3},
		{search.Goal{Size: 900}, double, 2},
		{search.Goal{Size: 700}, double, 3},
	} {
		if k, err := p.Prefix(tt.goal, tt.size); err != nil || k != tt.want {
			t.Errorf("Prefix(%+v) = %d, %v; want %d", tt.goal, k, err, tt.want)
		}
	}
	var goal *search.GoalError
	for _, g := range []search.Goal{{Blocks: 5}, {Ratio: 0.9}, {Size: 10}, {}, {Ratio: 1}} {
		if k, err := p.Prefix(g, nil); !errors.As(err, &goal) || k != 0 {
			t.Errorf("Prefix(%+v) = %d, %v", g, k, err)
		}
	}
	if _, err := p.Prefix(search.Goal{Blocks: 5}, nil); !strings.Contains(err.Error(), "4 blocks, ") || !strings.Contains(err.Error(), "search again") {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := (&Plan{}).Prefix(search.Goal{Blocks: 1}, nil); err == nil || !strings.Contains(err.Error(), "removes nothing") {
		t.Errorf("empty plan: %v", err)
	}
}

func TestLayerStepsCountBlocks(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Whole, 4)
	if k, err := p.Prefix(search.Goal{Blocks: 3}, nil); err != nil || k != 2 || !slices.IsSortedFunc(p.Mask(2).Blocks(), blockmask.Compare) {
		t.Errorf("3 blocks of whole layers: %d steps, %v", k, err)
	}
}

// Plans that an earlier version of the program has written are read, and are written again as the same bytes.
func TestPlansOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mix.plan.json", "refine.plan.json"} {
		old, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Decode(old)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := p.Encode(); err != nil || string(data) != string(old) {
			t.Errorf("%s was changed, %v", name, err)
		}
		if name == "mix.plan.json" {
			if diff := cmp.Diff(sample(t, blockmask.Mix, 4), p); diff != "" {
				t.Errorf("-searched now +read\n%s", diff)
			}
		}
	}
}
