package page

import (
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/search"
)

// The heat map has, for each block and step, the class of its value; what is gone or was not scored says so.
func TestHeatMap(t *testing.T) {
	t.Parallel()
	in := exampleInput()
	h := in.heatMap()
	if h == nil || len(h.Panels) != 2 {
		t.Fatalf("%+v", h)
	}
	_, values := in.scores()
	mixers, ffns := h.Panels[0].Rows, h.Panels[1].Rows
	if c := mixers[0].Cells[1]; c.Class != 0 || !c.Chosen || c.Number != "−1.0" {
		t.Errorf("step 1, attn:1: %+v", c)
	}
	if c := mixers[1].Cells[1]; c.Class != chart.Gone {
		t.Errorf("step 2, attn:1: %+v", c)
	}
	if c := mixers[1].Cells[0]; c.Class != chart.NotScored {
		t.Errorf("step 2, attn:0: %+v", c)
	}
	if c := ffns[1].Cells[1]; !c.Estimated || !c.Chosen || c.Number != "6.1" {
		t.Errorf("step 2, ffn:1: %+v", c)
	}
	if c := ffns[0].Cells[2]; c.Class != len(chart.NewClasses(values))+1 || c.Number != "∞" {
		t.Errorf("step 1, ffn:2, not finite: %+v", c)
	}
	if c := mixers[0].Cells[0]; c.Number != "100" {
		t.Errorf("step 1, attn:0: %+v", c)
	}
}

// Whole layers have one panel; divergences are differences, since the whole model's is nothing.
func TestLayersAndDivergence(t *testing.T) {
	t.Parallel()
	p := examplePlan()
	p.Metric, p.Base, p.Settings.Unit = "kld", 1e-9, blockmask.Whole
	layer := blockmask.New(attn(1), ffn(1))
	p.Steps = []search.Step{{
		Index: 1, Removed: layer, Score: 0.02, ParamsRemoved: 100, Ratio: 0.1,
		Candidates: []search.Candidate{{Mask: blockmask.New(attn(0), ffn(0)), Score: 0.5}, {Mask: layer, Score: 0.02}},
	}}
	in := Input{Plan: p}
	h := in.heatMap()
	if h == nil || len(h.Panels) != 1 || h.Panels[0].Rows[0].Label != "layer 1" || h.Panels[0].Rows[0].Cells[1].Number != "20" {
		t.Errorf("%+v", h)
	}
	c := in.curves()
	if len(c) != 1 || c[0].ID != "parameters" {
		t.Errorf("without sizes and speeds the curve is against parameters, not %+v", c)
	}
	page, err := HTML(in)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); !strings.Contains(text, "nats KL divergence") || strings.Contains(text, "×2") {
		t.Error("the page takes a divergence for a perplexity")
	}
}

// A plan without steps, or with blocks that no model has, is reported all the same.
func TestOddPlans(t *testing.T) {
	t.Parallel()
	p := examplePlan()
	p.Steps = nil
	if _, err := HTML(Input{Plan: p}); err != nil {
		t.Error(err)
	}
	p = examplePlan()
	p.Model.Blocks = p.Model.Blocks.With(attn(65535))
	page, err := HTML(Input{Plan: p})
	if err != nil || len(page) > 1<<20 {
		t.Errorf("%v, %d bytes", err, len(page))
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pruned, rival, err float64
		want               string
	}{
		{7, 6, 0.1, "smaller quantisation is the better buy"},
		{6, 7, 0.1, "pruning is the better buy"},
		{6.5, 6.6, 0.1, "within two standard errors"},
		{7, 6, 0, "has 6.000. Their standard errors are unknown"},
	} {
		in := Input{Measured: []Measured{{Role: Pruned, PPL: c.pruned, StdErr: c.err}, {Role: Rival, PPL: c.rival, StdErr: c.err}}}
		if got := in.verdict(); !strings.Contains(got, c.want) {
			t.Errorf("%v: %s", c, got)
		}
	}
	noted := Input{Measured: []Measured{{Role: Pruned, Bytes: 9, PPL: 6, StdErr: 0.1}, {Role: Rival, Bytes: 8, PPL: 7, StdErr: 0.1, Note: "It was requantised."}}}
	if got := noted.verdict(); !strings.HasSuffix(got, "pruning is the better buy. It was requantised.") {
		t.Errorf("a rival with a handicap: %s", got)
	}
	if got := noted.heldOut().Legend; !strings.HasSuffix(got, "one standard error. It was requantised.") {
		t.Errorf("its legend: %s", got)
	}
	judged := Input{
		Measured: []Measured{{Role: Pruned, PPL: 7, StdErr: 0.1}, {Role: Rival, PPL: 6, StdErr: 0.1}}, Tables: []Table{{Note: "Pruning is."}},
	}
	if got := judged.verdict(); got != "" {
		t.Errorf("a second opinion: %s", got)
	}
	if got := (Input{}).verdict(); got != "" {
		t.Errorf("nothing was measured: %s", got)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "a\nb": "a b", "a\x00b\x1b": "a\uFFFDb\uFFFD", "\u202egnp": "\uFFFDgnp", "\xff": "\uFFFD", "日本": "日本",
		strings.Repeat("x", 500): strings.Repeat("x", maxText) + "…",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%.20q) = %.40q", in, got)
		}
	}
}

func TestOllamaName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a/B C.gguf": "b-c", "日本.gguf": "pruned", "Llama-3.2_1B.gguf": "llama-3.2_1b"} {
		if got := ollamaName(in); got != want {
			t.Errorf("ollamaName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBaseModel(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://huggingface.co/org/Name-1.5": "org/Name-1.5", "https://huggingface.co/org/name/": "org/name",
		"https://evil.example/org/name": "", "https://huggingface.co/org/name/tree/main": "", "https://huggingface.co/org/na\nme": "",
	} {
		if got := (Input{Source: &Model{Meta: Meta{Repository: url}}}).baseModel(); got != want {
			t.Errorf("baseModel(%q) = %q, want %q", url, got, want)
		}
	}
}
