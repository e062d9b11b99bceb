package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

func reportInput() page.Input {
	b := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	return page.Input{Plan: &plan.Plan{
		Metric: "ppl", Base: 6, Model: plan.Model{Path: "m.gguf", Params: 100, Size: 1 << 20, Blocks: b}, Settings: search.Settings{Unit: blockmask.Mix},
		Steps: []search.Step{{Index: 1, Removed: b, Score: 7, ParamsRemoved: 10, Ratio: 0.1, Size: 1 << 19}},
	}}
}

// What appears between the check and the writing is not replaced, nothing else is left behind, and inputs are never outputs.
func TestReportFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	files := Files{Page: in("r.html"), Card: in("README.md"), Charts: in("charts")}
	if err := files.Check(false, in("plan.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("README.md"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write(reportInput(), false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a file that appeared is replaced: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("the failure left %v", list)
	}
	for _, force := range []bool{false, true} {
		if err := files.Check(force, in("README.md")); err == nil {
			t.Errorf("force %v: an input may be overwritten", force)
		}
	}
	written, err := files.Write(reportInput(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(written.Charts, written.Page, written.Card) {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if card, err := os.ReadFile(files.Card); err != nil || !strings.Contains(string(card), "](charts/curve-size.png)") {
		t.Errorf("the card does not show the chart: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 {
		t.Errorf("there is more than what was asked for: %v", list)
	}
}

// Every chart that is made has a name that was checked before the work.
func TestChartNamesAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := Files{Charts: dir}
	for _, name := range page.ChartFiles() {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := files.Check(false); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is there, and the check says %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	in := reportInput()
	in.Measured = []page.Measured{{Role: page.Original, Bytes: 2, PPL: 6}, {Role: page.Pruned, Bytes: 1, PPL: 7}}
	charts, err := page.Charts(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		if !strings.Contains(strings.Join(page.ChartFiles(), " "), c.Name+".svg") {
			t.Errorf("%s is made, but not checked", c.Name)
		}
	}
}

func TestChartsFromCard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ card, charts, want string }{
		{"README.md", "charts", "charts"},
		{"out/README.md", "out/a b/charts", "a b/charts"},
		{"out/README.md", "charts", ""},
		{"README.md", ".", "."},
		{"README.md", "", ""},
	} {
		if got := (Files{Card: c.card, Charts: c.charts}).chartsFromCard(); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.card, c.charts, got, c.want)
		}
	}
}
