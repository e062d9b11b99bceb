package realbench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// told is a run in memory of which all was measured at two ratios but the repair at the second, whose blocks are broken. Its quantisation
// is the same at both.
func told(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "piqa.jsonl"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bench{
		options: options{
			model: "d/M.gguf", label: "m", methods: allMethods[:4], ratios: []float64{0.1, 0.2}, text: "wiki.txt", tasks: dir, items: 4,
			window: 1024, windows: 16, kldWindows: 8, short: 60, repeats: 5, threads: 2,
		},
		book: &book{values: map[string][]json.RawMessage{}}, hash: "original", bytes: 100 << 20, params: 134.5e6, textHash: "0123456789abcdef",
	}
	add := func(k key, value any) {
		if err := b.add(k, value); err != nil {
			t.Fatal(err)
		}
	}
	for i, ratio := range b.ratios {
		for j, method := range b.methods {
			if method == repaired && i == 1 {
				continue
			}
			k, ok := b.makes(method, ratio)
			if !ok {
				t.Fatal("no limit for the quantisation")
			}
			m := made{
				File: "f", SHA256: method + percent(ratio), Bytes: int64(90-10*i+j) << 20, Gone: ratio + 0.001, Took: measure.Usage{CPU: 1234.4, RSS: 567.8},
				More: method == blocks && i == 0, What: method + "'s",
			}
			if method == quant {
				m.SHA256, m.Type, m.What, m.Bytes = "q", "Q3_K_S", "", 70<<20
			}
			add(k, m)
		}
	}
	rights := func(n int) answers {
		right := []bool{n > 0, n > 1, n > 2, n > 3}
		return answers{Tasks: []string{"piqa"}, Acc: tasks.Rights{right}, Norm: tasks.Rights{{true, true, false, false}}}
	}
	files, err := measure.TaskFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := b.taskSettings(files)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range b.subjects() {
		ppl := estimate{jsonnum.Float(20 + 2*i), 0.5, 16}
		if s.method == blocks && s.ratio == 0.2 {
			ppl = estimate{jsonnum.Float(math.Inf(1)), jsonnum.Float(math.Inf(1)), 16}
		}
		add(b.measured("ppl", s, b.onWindows(1024, 16)), ppl)
		if s.method == original || s.method == width {
			add(b.measured("ppl", s, b.shortSettings()), estimate{jsonnum.Float(10 + 2*i), 0.5, 60})
		}
		add(b.measured("tasks", s, set), rights(3-i%3))
		for _, set := range b.speedSettings(s) {
			add(b.measured("speed", s, set), pace{
				Generate: 1 + 0.1*float64(i), Prompt: 1.5, BaseGenerate: float64(40 + i), BasePrompt: 200, Memory: 5 << 20, BaseMemory: 10 << 20,
				Machine: "some processor",
			})
		}
		for _, set := range b.divergenceSettings(s) {
			if s.method != quant {
				add(b.measured("kld", s, set), estimate{0.25, 0.01, 8})
			}
		}
	}
	return b
}

func TestTable(t *testing.T) {
	t.Parallel()
	b := told(t)
	rows := b.rows()
	var out strings.Builder
	b.write(&out, rows)
	want := `| parameters gone | how | file | perplexity | KLD | acc | acc_norm | generates | reads | context | CPU s | peak memory |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| none | original | 100.0 MiB | 20.00 ± 0.50 | 0 | 75.0 ± 25.0 | 50.0 ± 28.9 | 45.0/s | 200/s | 10.0 MiB |  |  |
| 10.1% | blocks | 90.0 MiB | 22.00 ± 0.50 | 0.250 ± 0.010 | 50.0 ± 28.9 | 50.0 ± 28.9 | ×1.10 | ×1.50 | ×0.50 | ≥ 1234 | 568 MiB |
| 10.1% | blocks, repaired | 91.0 MiB | 24.00 ± 0.50 | 0.250 ± 0.010 | 25.0 ± 25.0 | 50.0 ± 28.9 | ×1.20 | ×1.50 | ×0.50 | 1234 | 568 MiB |
| 10.1% | **channels (default)** | 92.0 MiB | 26.00 ± 0.50 | 0.250 ± 0.010 | 75.0 ± 25.0 | 50.0 ± 28.9 | ×1.30 | ×1.50 | ×0.50 | 1234 | 568 MiB |
| none | Q3_K_S | 70.0 MiB | 34.00 ± 0.50 | – | 50.0 ± 28.9 | 50.0 ± 28.9 | ×1.70 | ×1.50 | ×0.50 | 1234 | 568 MiB |
| 20.1% | blocks | 80.0 MiB | ∞ | 0.250 ± 0.010 | 25.0 ± 25.0 | 50.0 ± 28.9 | ×1.50 | ×1.50 | ×0.50 | 1234 | 568 MiB |
| 20.1% | **channels (default)** | 82.0 MiB | 32.00 ± 0.50 | 0.250 ± 0.010 | 75.0 ± 25.0 | 50.0 ± 28.9 | ×1.60 | ×1.50 | ×0.50 | 1234 | 568 MiB |
| none | Q3_K_S | 70.0 MiB | 34.00 ± 0.50 | – | 50.0 ± 28.9 | 50.0 ± 28.9 | ×1.70 | ×1.50 | ×0.50 | 1234 | 568 MiB |
`
	caption, table, _ := strings.Cut(out.String(), "\n\n")
	table, notes, _ := strings.Cut(table, "\nWhat went, and what there is not:\n")
	if table != want {
		t.Errorf("\n%s\nwant\n%s", table, want)
	}
	for _, part := range []string{"M.gguf, 134.5M parameters.", "wiki.txt, 16 windows of 1024 tokens", "nats: 8 windows", "the first 4 items", "2 threads of some processor", "5 turns", "≥"} {
		if !strings.Contains(caption, part) {
			t.Errorf("%q lacks %q", caption, part)
		}
	}
	if !strings.Contains(notes, "- blocks, repaired, 10%: repaired's\n") || strings.Contains(notes, "Q3") {
		t.Errorf("%q", notes)
	}
}

// Figures are of the default's files beside the original, and only what was measured has one.
func TestFigures(t *testing.T) {
	t.Parallel()
	b := told(t)
	want := []string{
		"figure real_m_10_ppl_ratio 1.6000", "figure real_m_10_acc_drop 0.0000", "figure real_m_10_acc_drop_stderr 0.0000", "figure real_m_10_acc_norm_drop 0.0000",
		"figure real_m_10_speed 1.3000", "figure real_m_10_speed_prompt 1.5000",
		"figure real_m_20_ppl_ratio 2.2000", "figure real_m_20_acc_drop 0.0000", "figure real_m_20_acc_drop_stderr 0.0000", "figure real_m_20_acc_norm_drop 0.0000",
		"figure real_m_20_speed 1.6000", "figure real_m_20_speed_prompt 1.5000",
	}
	if got := b.figures(b.rows()); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.short, b.tasks, b.threads = 0, "none", 1
	if got := b.figures(b.rows()); len(got) != 0 {
		t.Errorf("with nothing measured: %q", got)
	}
}

// The picture has each file once in each of the four panels but where it was not measured, and every method's colour and line.
func TestPicture(t *testing.T) {
	t.Parallel()
	b := told(t)
	raw, err := b.picture(b.rows())
	if err != nil {
		t.Fatal(err)
	}
	svg := string(raw)
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// Of blocks, one perplexity is infinite. The legend has a shape and a line of each method, too. A line between points needs two.
	for text, want := range map[string]int{
		`<g class="s1">`: 2*1 + 2*2 + 1, `<g class="s2">`: 4*1 + 1, `<g class="s3">`: 4*2 + 1, `<g class="s4">`: 4*1 + 1, `class="diamond"`: 4 + 1,
		`class="line s1"`: 2, `class="line s2"`: 0, `class="line s3"`: 4, `class="line s4"`: 0, `class="line"`: 4,
		`>Perplexity, lower is better<`: 2, `>File size, MiB<`: 2, `>Q3_K_S<`: 4,
	} {
		if got := strings.Count(svg, text); got != want {
			t.Errorf("%d times %s, want %d", got, text, want)
		}
	}
	if ids := regexp.MustCompile(` id="([^"]+)"`).FindAllString(svg, -1); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("ids %q", ids)
	}
	k, _ := b.makes(quant, 0.1)
	m := *b.found(quant, 0.1)
	m.Type = "Q2_K with Q4_0 embeddings"
	if err := b.add(k, m); err != nil {
		t.Fatal(err)
	}
	if raw, err = b.picture(b.rows()); err != nil || strings.Count(string(raw), ">Q2_K*<") != 4 || !strings.Contains(string(raw), "*: with Q4_0 embeddings.") {
		t.Errorf("a smaller output is not told of: %v\n%s", err, raw)
	}
	b.threads, b.tasks = 1, "none" // then only perplexities against sizes are left
	raw, err = b.picture(b.rows())
	if err != nil || strings.Count(string(raw), `class="name"`) != 1 {
		t.Errorf("%d panels, %v", strings.Count(string(raw), `class="name"`), err)
	}
	b.windows = 3
	if _, err := b.picture(b.rows()); err == nil {
		t.Error("nothing to draw is no error")
	}
}
