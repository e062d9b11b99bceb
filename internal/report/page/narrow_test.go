package page

import (
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// keep is an FFN that keeps n channels of those from 0 on.
func keep(t testing.TB, layer, n int) blockmask.Cut {
	t.Helper()
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	kept, err := blockmask.NewIndices(list)
	if err != nil {
		t.Fatal(err)
	}
	return blockmask.Cut{Block: ffn(layer), Channels: kept}
}

// narrowInput is a report of one step after which FFNs keep some of 40 channels; whole blocks go besides.
func narrowInput(t testing.TB, whole ...blockmask.Block) Input {
	t.Helper()
	in := exampleInput()
	p := in.Plan
	p.Settings.Strategy, p.Settings.Unit, p.Model.Channels = "width", blockmask.Width, []int{40, 40, 40}
	m := blockmask.Of(keep(t, 0, 30), keep(t, 1, 10)).With(whole...)
	p.Steps = []search.Step{{Index: 1, Removed: m, Score: 10.5, ParamsRemoved: 200, Ratio: 0.2, Size: 3 << 20, Candidates: []search.Candidate{{Mask: m, Score: 10.5}}}}
	p.Shapes = []plan.Shape{{Name: "one width", Keeps: "20 of 40 channels", Ratio: 0.2, Loss: math.Log(1.1)}, {Name: "by <loss>", Keeps: "10 to 30", Ratio: 0.2, Loss: 0, Chosen: true}}
	p.Kinds = []plan.Kind{{Name: "prose", Sequences: 3, Before: 8, After: 10}, {Name: "code", Sequences: 1, Before: 8, After: 8}, {Name: "lists", Before: 5, After: 15, Unseen: true}}
	accuracy := 0.5
	p.Shapes = append(p.Shapes, plan.Shape{Name: "third", Keeps: "20", Ratio: 0.2, KLD: 0.125, Accuracy: &accuracy})
	p.Tasks = []plan.Task{{Name: "piqa", Items: 40, Before: 0.7, After: 0.65}}
	in.Steps, in.Measured, in.Tables = 1, nil, nil
	return in
}

func TestNarrowPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in       Input
		say, not []string
	}{
		"channels": {narrowInput(t), []string{
			"Tiny 1K with 2 narrower FFNs", "50.0%", "10 to 30 of 40 in 2 FFNs", "ffn:0 keeps 30 of 40 channels, in step 1", "attn:2 is kept",
			"what the channels were fitted on", "perplexity 12.7500, with all channels 14.0000", "OSSCAR", "re-fitted, by least squares", "ffn:0=30,ffn:1=10",
			"Shapes tried", "×1.100", "by &lt;loss&gt; *", "Kinds of text", "10.0000", "×1.250", "lists (not in the fit)", "0.125", "piqa", "65.0%",
			"18.2%", "9.4574, was 8.0000, on text held back from the fit; by kind ×1.00 to ×1.25, and up to ×3.00 on text that the fit has not seen",
		}, []string{"BlockPruner", "Filled blocks", "NaN", "%!"}},
		"both": {narrowInput(t, attn(1)), []string{
			"Tiny 1K without 1 of its 6 attention and FFN blocks, and with 2 narrower FFNs", "attn:1 is removed in step 1", "BlockPruner", "OSSCAR", "Filled blocks",
		}, []string{"NaN", "%!"}},
	} {
		page, err := HTML(c.in)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.say {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		for _, no := range c.not {
			if strings.Contains(string(page), no) {
				t.Errorf("%s: the page has %q", name, no)
			}
		}
		if _, err := Charts(c.in); err != nil {
			t.Error(err)
		}
	}
	alone := narrowInput(t, attn(1))
	alone.Pruned, alone.Check = nil, nil
	if got := alone.subtitle(); got != "A plan that removes 1 of the 6 attention and FFN blocks of Tiny 1K, and narrows 2 FFNs" {
		t.Errorf("a plan: %s", got)
	}
}

func TestNarrowCard(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   Input
		want []string
	}{
		"channels": {narrowInput(t), []string{"\nChannels of FFNs: `ffn:0=30`, `ffn:1=10` (how many each keeps).\n", "Channels were chosen by how well the others make up for them", `| by \<loss\> \* | 10 to 30 | 20.0% | ×1.000 |`, "| prose | 8.0000 | 10.0000 | ×1.250 |"}},
		"both":     {narrowInput(t, attn(1)), []string{"\n1 of 6 blocks, in this order: `attn:1`. Channels of FFNs: `ffn:0=30`, `ffn:1=10`", "as in BlockPruner, and channels by how"}},
	} {
		card, err := Card(c.in)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(card), want) {
				t.Errorf("%s: the card lacks %q:\n%s", name, want, card)
			}
		}
	}
}

// The map shows what is gone of each FFN, after all steps that were carried out; without the plan's widths it knows the least that they are.
func TestNarrowMap(t *testing.T) {
	t.Parallel()
	in := narrowInput(t, attn(1))
	p := in.Plan
	second := blockmask.Of(keep(t, 0, 20)).With(ffn(1))
	p.Steps = append(p.Steps, search.Step{Index: 2, Removed: second, Score: 11, ParamsRemoved: 300, Ratio: 0.3, Candidates: []search.Candidate{{Mask: second, Score: 11}}})
	for steps, want := range map[int][3]float64{1: {0.25, 0.75, 0}, 2: {0.5, 0, 0}} {
		in.Steps = steps
		m := in.blockMap()
		for i, part := range want {
			if c := m.Rows[1].Cells[i]; c.Part != part {
				t.Errorf("%d steps: ffn:%d has lost %g, want %g", steps, i, c.Part, part)
			}
		}
		if c := m.Rows[1].Cells[1]; c.Removed != (steps == 2) || steps == 2 && c.Number != "2" {
			t.Errorf("%d steps: ffn:1 is %+v", steps, c)
		}
		if m.Rows[0].Size >= m.Rows[1].Size && steps == 1 {
			t.Errorf("rows of %g and %g", m.Rows[0].Size, m.Rows[1].Size)
		}
	}
	in.Steps, p.Model.Channels = 1, nil
	if c := in.blockMap().Rows[1].Cells[1]; c.Title != "ffn:1 keeps 10 of 30 channels, in step 1" {
		t.Errorf("without widths: %s", c.Title)
	}
}
