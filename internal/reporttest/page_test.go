package reporttest

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

const hostile = `<script>document.title="hacked";alert(1)</script><img src="https://example.com/x.png" onerror="alert(2)">"'><style>body{display:none}</style>`

// madeUp is a plan of a model with so many layers, whose first steps remove one block each. Scores are made up, but follow a rule.
func madeUp(layers, steps int) *plan.Plan {
	p := &plan.Plan{
		Tool: "ggufprune", LlamaCpp: "v0.5.0", Metric: "ppl", Base: 6,
		Model:       plan.Model{Path: "model.gguf", SHA256: strings.Repeat("ab", 32), Arch: "llama", Params: uint64(1000 * layers), Size: 8 << 30},
		Calibration: plan.Calibration{Description: "text", TokensSHA256: strings.Repeat("cd", 32), Convention: "samples", Context: 512, Sequences: 64, Tokens: 30000},
		Settings:    search.Settings{Strategy: "fast", Unit: blockmask.Mix, Goal: search.Goal{Blocks: steps}},
	}
	for l := range layers {
		p.Model.Blocks = p.Model.Blocks.With(blockmask.Block{Layer: l, Kind: blockmask.Mixer}, blockmask.Block{Layer: l, Kind: blockmask.FFN})
	}
	score := p.Base
	for k := range steps {
		s := search.Step{Index: k + 1, ParamsRemoved: uint64(300 * (k + 1)), Size: 8<<30 - int64(k+1)<<27, Speedup: 1 + 0.03*float64(k+1)}
		s.Ratio = float64(s.ParamsRemoved) / float64(p.Model.Params)
		gone := p.Mask(k)
		next := blockmask.Block{Layer: (7*k + 3) % layers, Kind: blockmask.Kind(k % 2)}
		for _, b := range p.Model.Blocks.Blocks() {
			if gone.Has(b) {
				continue
			}
			c := search.Candidate{Mask: blockmask.New(b), Score: score * (1.02 + 0.01*float64((b.Layer*b.Layer+k)%37)), Sequences: (b.Layer % 3) * 8}
			if b == next {
				c.Score, s.Removed = score*1.01, c.Mask
				s.Score = c.Score
			}
			s.Candidates = append(s.Candidates, c)
		}
		score = s.Score
		p.Steps = append(p.Steps, s)
	}
	return p
}

// narrow is a plan of one step, after which every FFN is of another width, some attentions are gone, and an FFN, too.
func narrow(layers int) *plan.Plan {
	p := madeUp(layers, 0)
	p.Settings = search.Settings{Strategy: "width", Unit: blockmask.Width, Goal: search.Goal{Ratio: 0.2}}
	s := search.Step{Index: 1, Score: 6.6, ParamsRemoved: uint64(200 * layers), Ratio: 0.2, Size: 7 << 30}
	var cuts []blockmask.Cut
	for l := range layers {
		p.Model.Channels = append(p.Model.Channels, 14336)
		var list []int
		for i := range 64 * (224 - 13*l*l%211) {
			list = append(list, i)
		}
		kept, err := blockmask.NewIndices(list)
		if err != nil {
			panic(err)
		}
		if l > 1 {
			cuts = append(cuts, blockmask.Cut{Block: blockmask.Block{Layer: l, Kind: blockmask.FFN}, Channels: kept})
		}
	}
	s.Removed = blockmask.Of(cuts...).With(blockmask.Block{Layer: 5}, blockmask.Block{Layer: layers - 2}, blockmask.Block{Layer: layers - 3, Kind: blockmask.FFN})
	s.Candidates = []search.Candidate{{Mask: s.Removed, Score: s.Score}}
	p.Steps = []search.Step{s}
	p.Shapes = []plan.Shape{
		{Name: "one width", Keeps: "10240 of 14336 channels", Ratio: 0.2, Size: 7 << 30, Loss: 0.12},
		{Name: "widths by measured loss", Keeps: "960 to 14080 of 14336 channels", Ratio: 0.2, Size: 7 << 30, Loss: 0.1, Chosen: true},
	}
	p.Kinds = []plan.Kind{{Name: "built-in encyclopaedia", Sequences: 9, Before: 12, After: 14}, {Name: "chat.jsonl", Sequences: 20, Before: 6, After: 6.2}}
	return p
}

// pages are written to a folder of the test, and named by what is special about them.
func pages(t *testing.T) map[string]string {
	t.Helper()
	nasty := madeUp(12, 6)
	nasty.Model.Path, nasty.Model.Arch, nasty.Calibration.Description = "dir/"+hostile+".gguf", hostile, hostile
	wide := page.Table{Title: "Comparison", Caption: "held-out text", Columns: []string{"a-very-long-model-name-Q8_0.gguf", "another-long-name-Q4_K_M.gguf", "a-rival-Q5_K_S.gguf"}}
	for _, label := range []string{"PPL", "KLD, mean", "same top token", "tokens per second"} {
		wide.Rows = append(wide.Rows, page.Row{Label: label, Cells: []string{"12.3456 ± 0.1234", "13.4567 ± 0.1234", "12.9999 ± 0.1234"}})
	}
	full := page.Input{
		Plan: madeUp(32, 20), PlanPath: "plan.json", Steps: 16, Tables: []page.Table{wide},
		Pruned: &page.Model{Path: "small.gguf", Bytes: 6 << 30, Params: 30000, Layout: "deci", SHA256: strings.Repeat("ef", 32)},
		Check:  &page.Check{Positions: 384, Text: "held out", Convention: "windows", Context: 512, Sequences: 8, Masked: 7, Written: 7, StdErr: 0.1},
		Measured: []page.Measured{
			{Role: page.Original, Name: "model.gguf", Bytes: 8 << 30, PPL: 6.1, StdErr: 0.05},
			{Role: page.Pruned, Name: "small.gguf", Bytes: 6 << 30, PPL: 7.2, StdErr: 0.06},
			{Role: page.Repaired, Name: "pruned + repaired", Bytes: 6 << 30, PPL: 6.9, StdErr: 0.06},
			{Role: page.Rival, Name: "Q5_K_S", Bytes: 6 << 30, PPL: 6.3, StdErr: 0.05},
		},
		Command: []string{"ggufprune", "prune", "-m", "model.gguf", "--ratio", "0.2", "--report", strings.Repeat("long-", 60) + ".html"},
	}
	out := map[string]string{}
	for name, in := range map[string]page.Input{
		"full": full, "plan": {Plan: madeUp(12, 6)}, "hostile": {Plan: nasty, PlanPath: hostile, Command: []string{hostile}}, "many-layers": {Plan: madeUp(80, 40)},
		"width": {Plan: narrow(12)}, "width-32": {Plan: narrow(32)}, "width-80": {Plan: narrow(80)},
	} {
		html, err := page.HTML(in)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = filepath.Join(t.TempDir(), "report <b>#1?.html")
		if err := os.WriteFile(out[name], html, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

var views = []view{
	{name: "desktop", width: 1280, height: 800},
	{name: "phone", width: 360, height: 740},
	{name: "dark", width: 1280, height: 800, dark: true},
	{name: "phone-dark", width: 390, height: 844, dark: true},
	{name: "print", width: 794, height: 1123, print: true},
}

// In every view, each page renders, asks for nothing, has nothing to complain about, and is no wider than the screen.
func TestPages(t *testing.T) {
	parent := browser(t)
	for name, path := range pages(t) {
		for i, v := range views {
			if i > 1 && name != "full" {
				continue // where all views show the same, two are enough
			}
			t.Run(name+"/"+v.name, func(t *testing.T) {
				tab := open(t, parent, path, v)
				if got := ask[string](t, tab, `document.querySelector("h1").getBoundingClientRect().height > 10 ? document.title : "no heading"`); got == "hacked" || got == "no heading" {
					t.Errorf("the title is %q", got)
				}
				if over := ask[float64](t, tab, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 && !v.print {
					t.Errorf("the page is %g pixels wider than the screen: %s", over, ask[string](t, tab, widest))
				}
				if n := ask[int](t, tab, `document.querySelectorAll("script, img, iframe, object, link:not([rel=icon])").length`); n != 0 {
					t.Errorf("there are %d elements that load or run something", n)
				}
				charts := 3
				if strings.HasPrefix(name, "width") {
					charts = 2 // there is nothing to compare
				}
				if n := ask[int](t, tab, `document.querySelectorAll("svg[role=img] > title").length`); n < charts {
					t.Errorf("%d charts with a title", n)
				}
				if empty := ask[int](t, tab, `[...document.querySelectorAll("svg.chart")].filter(s => s.getBoundingClientRect().height < 50).length`); empty > 0 {
					t.Errorf("%d charts are not drawn", empty)
				}
				keep(t, tab, name+"-"+v.name)
				tab.quiet(t)
			})
		}
	}
}

// widest names the element that reaches furthest to the right, of those that do not scroll themselves.
const widest = `[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre, svg")).map(e => [e.getBoundingClientRect().right, e.tagName + "." + e.className]).sort((a, b) => b[0] - a[0])[0].join(" ")`

// Dark mode is dark, and the text can be read in both: by WCAG's contrast of at least 4.5, of text and of numbers in cells.
func TestContrast(t *testing.T) {
	parent, all := browser(t), pages(t)
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprintf("dark=%v", dark), func(t *testing.T) {
			for _, name := range []string{"width", "width-32"} {
				tab := open(t, parent, all[name], view{width: 1280, height: 800, dark: dark})
				for _, bad := range ask[[]string](t, tab, contrast) {
					t.Errorf("%s: %s", name, bad)
				}
				keep(t, tab, fmt.Sprintf("%s-dark-%v", name, dark))
			}
			tab := open(t, parent, all["full"], view{width: 1280, height: 800, dark: dark})
			shot, err := chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(bytes.NewReader(shot))
			if err != nil {
				t.Fatal(err)
			}
			r, g, b, _ := picture.At(2, 2).RGBA()
			if isDark := r+g+b < 3*0x4000; isDark != dark {
				t.Errorf("the page's corner is %x %x %x", r>>8, g>>8, b>>8)
			}
			for _, bad := range ask[[]string](t, tab, contrast) {
				t.Error(bad)
			}
		})
	}
}

// contrast lists texts that are too pale for what is behind them.
const contrast = `(() => {
	const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
	const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	const ratio = (a, b) => { const [x, y] = [light(a.slice(0, 3)), light(b.slice(0, 3))].sort((p, q) => q - p); return (x + .05) / (y + .05); };
	const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
	const bad = [];
	const check = (what, a, b) => { const r = ratio(a, b); if (r < 4.5) bad.push(what + " has a contrast of " + r.toFixed(2)); };
	for (const e of document.querySelectorAll("h1, h2, p, li, dt, dd, th, td, a, figcaption, summary, code"))
		if (e.textContent.trim()) check(e.tagName + " " + e.textContent.trim().slice(0, 20), rgb(getComputedStyle(e).color), behind(e));
	for (const e of document.querySelectorAll("svg.chart > g text, svg .label")) {
		const cell = e.parentElement.querySelector(e.matches(".removed-number") && e.parentElement.querySelector(":scope > rect.part") ? ":scope > rect.part" : ":scope > rect.cell");
		const own = e.matches(".num, .removed-number, .kept-number") && cell ? rgb(getComputedStyle(cell).fill) : null;
		if (e.closest(".tip")) continue;
		check("svg text " + e.textContent + " " + e.getAttribute("class"), rgb(getComputedStyle(e).fill), own && own.length === 3 ? own : behind(e.closest("svg").parentElement));
	}
	return [...new Set(bad)].slice(0, 10);
})()`

// Pointing at a step, or reaching it with the keyboard, shows its numbers; a page in which no script may run does it as well.
func TestTips(t *testing.T) {
	parent, path := browser(t), pages(t)["full"]
	tab := open(t, parent, path, view{width: 1280, height: 800})
	shown := `[...document.querySelectorAll("#cost .tip")].filter(e => getComputedStyle(e).visibility === "visible").map(e => e.textContent).join("|")`
	if got := ask[string](t, tab, shown); got != "" {
		t.Errorf("at first, tips are up: %s", got)
	}
	at := ask[[]float64](t, tab, `(() => { const p = document.querySelectorAll("#cost svg")[0].querySelectorAll("circle.hit")[2]; p.scrollIntoView({block: "center"}); const r = p.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	if err := chromedp.Do(tab.ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1])); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, tab, shown); !strings.Contains(got, "step 2") || !strings.Contains(got, "of parameters gone") {
		t.Errorf("pointed at step 2, the tip says %q", got)
	}
	keep(t, tab, "tip")
	if err := chromedp.Do(tab.ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 1, 1), chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("#cost svg")[0].querySelectorAll("g[tabindex]")[5].focus()`)); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, tab, shown); !strings.Contains(got, "step 5") {
		t.Errorf("with step 5 in focus, the tip says %q", got)
	}
	tab.quiet(t)
}

// Without scripts the page is the same picture.
func TestNoScript(t *testing.T) {
	parent, path := browser(t), pages(t)["plan"]
	with := shoot(t, open(t, parent, path, view{width: 1000, height: 800}), "with-scripts")
	without := shoot(t, open(t, parent, path, view{width: 1000, height: 800, noJS: true}), "without-scripts")
	if !bytes.Equal(with, without) {
		t.Error("the page looks different where scripts are off")
	}
}

// A chart's SVG file is a picture of its own, with the same tips, in the light and in the dark.
func TestSVGFile(t *testing.T) {
	parent := browser(t)
	charts, err := page.Charts(page.Input{Plan: madeUp(12, 6)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		path := filepath.Join(t.TempDir(), c.Name+".svg")
		if err := os.WriteFile(path, c.SVG, 0o644); err != nil {
			t.Fatal(err)
		}
		tab := open(t, parent, path, view{width: 800, height: 800, dark: true})
		if got := ask[string](t, tab, `getComputedStyle(document.documentElement).backgroundColor`); got != "rgb(20, 23, 27)" {
			t.Errorf("%s: in the dark, the background is %s", c.Name, got)
		}
		if n := ask[int](t, tab, `[...document.querySelectorAll("text")].filter(e => e.getBBox().width > 0).length`); n < 10 {
			t.Errorf("%s has %d texts", c.Name, n)
		}
		keep(t, tab, "file-"+c.Name)
		tab.quiet(t)
	}
}
