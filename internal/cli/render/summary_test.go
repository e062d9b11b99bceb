package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

func ptr(x float64) *float64 { return &x }

// printed returns what a finished run shows, standard error behind standard output.
func printed(t *testing.T, out *prune.Outcome) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if err := Outcome(ui.New(ui.Options{Out: &stdout, Err: &stderr}), "prune", out, "plan.json", nil); err != nil {
		t.Fatal(err)
	}
	return stdout.String() + stderr.String()
}

// What was measured on held-out text is of the whole plan, and not said of its first steps.
func TestSummaryOfSomeSteps(t *testing.T) {
	t.Parallel()
	out := exampleOutcome()
	out.Steps[0].Score = 6.6
	out.Plan.HeldOut = &plan.HeldOut{Sequences: 16, Ratio: ptr(1.12), SeenRatio: ptr(1.1), Verdict: perplexity.CarriesOver}
	out.Plan.Steps = []search.Step{out.Steps[0], out.Steps[0]}
	if got := printed(t, out); strings.Contains(got, "held-out sequences") || !strings.Contains(got, " on the calibration") {
		t.Errorf("of %d steps of %d: %s", len(out.Steps), len(out.Plan.Steps), got)
	}
}

// The end of a run, as a user sees it.
func TestSummary(t *testing.T) {
	t.Parallel()
	out := exampleOutcome()
	out.Steps[0].Score, out.Steps[0].Speedup = 6.6, 1.17
	out.Plan.HeldOut = &plan.HeldOut{Sequences: 16, Ratio: ptr(1.12), SeenRatio: ptr(1.1), Verdict: perplexity.CarriesOver}
	_, got, ok := strings.Cut(printed(t, out), "\nremoved ")
	if !ok {
		t.Fatal("no summary")
	}
	const want = `1 of 8 blocks: attn:3
speed   about x1.17 for each token, by the blocks' times on this machine
PPL     x1.120 on 16 held-out sequences, x1.100 on the calibration: carries over
plan    plan.json
`
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"output  ", "check   passed", "next    ggufprune ppl -m ", "        llama-cli -m "} {
		if !strings.Contains(got, "\n"+line) {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
}

// What stands behind the table of steps fits a screen of 24 lines and 80 columns, for the largest models too.
func TestSummaryFitsAScreen(t *testing.T) {
	t.Parallel()
	out := exampleOutcome()
	var steps []search.Step
	for i := range 120 {
		m := blockmask.New(blockmask.Block{Layer: 2 * i, Kind: blockmask.Mixer})
		steps = append(steps, search.Step{Index: i + 1, Removed: m, Score: 7, Size: 80, Speedup: 1.5, Ratio: 0.3, Cost: 1, PaperCost: 2})
		out.Removed = out.Removed.Union(m)
	}
	out.Steps = steps
	out.Plan.Audit = &search.Audit{Audits: 3, Missed: 1}
	out.Plan.Settings.Sequences = 1
	out.Plan.HeldOut = &plan.HeldOut{Sequences: 16, Verdict: perplexity.CannotTell}
	text := printed(t, out)
	_, tail, _ := strings.Cut(text, "\n 120  ")
	lines := 0
	for line := range strings.Lines(tail) {
		lines += max(1, (len(strings.TrimSuffix(line, "\n"))+79)/80)
	}
	if tail == "" || lines > 24 {
		t.Errorf("%d lines:\n%s", lines, tail)
	}
}

// Channels are named while there is room, and counted otherwise; whole blocks stand beside them.
func TestSummaryOfChannels(t *testing.T) {
	t.Parallel()
	cut := func(layer, n int) blockmask.Cut {
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		kept, err := blockmask.NewIndices(list)
		if err != nil {
			t.Fatal(err)
		}
		return blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: kept}
	}
	var many []blockmask.Cut
	for layer := range 40 {
		many = append(many, cut(layer, 100+layer))
	}
	for want, m := range map[string]blockmask.Mask{
		"removed channels of 2 of 8 blocks: ffn:1=10,ffn:3=20\n":                      blockmask.Of(cut(1, 10), cut(3, 20)),
		"removed 1 of 8 blocks, and channels of 1: attn:2,ffn:3=20\n":                 blockmask.Of(cut(3, 20)).With(blockmask.Block{Layer: 2}),
		"removed channels of 40 of 8 blocks: channels of 40 FFNs (100 to 139 stay)\n": blockmask.Of(many...),
	} {
		out := exampleOutcome()
		out.Removed, out.Steps[0].Removed = m, m
		if got := printed(t, out); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}
