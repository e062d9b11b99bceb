package page

import (
	"bytes"
	"encoding/xml"
	"flag"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>|` + "`]($(rm -rf ~))\u202e\x00\x1b[31m"

func attn(l int) blockmask.Block { return blockmask.Block{Layer: l, Kind: blockmask.Mixer} }
func ffn(l int) blockmask.Block  { return blockmask.Block{Layer: l, Kind: blockmask.FFN} }

// examplePlan is a plan of a model of three layers; the second step was estimated.
func examplePlan() *plan.Plan {
	one := func(b blockmask.Block, score float64, seqs int) search.Candidate {
		return search.Candidate{Mask: blockmask.New(b), Score: score, Sequences: seqs}
	}
	return &plan.Plan{
		Tool: "ggufprune v1.0", LlamaCpp: "v0.5.0", Metric: "ppl", Base: 10,
		Model: plan.Model{
			Path: "/home/me/models/tiny-Q8_0.gguf", SHA256: strings.Repeat("ab", 32), Arch: "llama", Params: 1000, Size: 4 << 20,
			Blocks: blockmask.New(attn(0), ffn(0), attn(1), ffn(1), attn(2), ffn(2)),
		},
		Calibration: plan.Calibration{Description: "text.jsonl: 8 sequences", TokensSHA256: strings.Repeat("cd", 32), Convention: "samples", Context: 64, Sequences: 8, Tokens: 500},
		Settings:    search.Settings{Strategy: "fast", Unit: blockmask.Mix, Goal: search.Goal{Blocks: 3}, Confidence: 0.9, Tolerance: 0.001, Finalists: 2},
		Steps: []search.Step{
			{
				Index: 1, Removed: blockmask.New(attn(1)), Score: 9.9, ParamsRemoved: 100, Ratio: 0.1, Size: 3800 << 10, Speedup: 1.1, Cost: 10, PaperCost: 100,
				Candidates: []search.Candidate{one(attn(0), 20, 0), one(ffn(0), 10.2, 0), one(attn(1), 9.9, 0), one(ffn(1), 10.4, 0), one(attn(2), 11, 0), one(ffn(2), math.Inf(1), 0)},
			},
			{
				Index: 2, Removed: blockmask.New(ffn(1)), Score: 10.5, ParamsRemoved: 300, Ratio: 0.3, Size: 3000 << 10, Speedup: 1.3, Cost: 10, PaperCost: 90,
				Candidates: []search.Candidate{one(ffn(0), 10.7, 4), one(ffn(1), 10.5, 4), one(attn(2), 12, 4)},
			},
			{
				Index: 3, Removed: blockmask.New(ffn(0)), Score: 11.5, ParamsRemoved: 500, Ratio: 0.5, Size: 2200 << 10, Speedup: 1.6, Cost: 10, PaperCost: 80,
				Candidates: []search.Candidate{one(ffn(0), 11.5, 0), one(attn(2), 14, 0)},
			},
		},
	}
}

// exampleInput is a report of two of the plan's steps, with all that there may be.
func exampleInput() Input {
	return Input{
		Plan: examplePlan(), PlanPath: "/home/me/plan.json", Steps: 2,
		Source: &Model{Path: "/home/me/models/tiny-Q8_0.gguf", Meta: Meta{
			Name: "Tiny 1K", Author: "someone", License: "apache-2.0", Repository: "https://huggingface.co/someone/Tiny-1K",
			Tags: []string{"text-generation", "gguf", "bad: [tag"}, Languages: []string{"en", "not a language"}, Quantization: "Q8_0",
		}},
		Pruned: &Model{Path: "/home/me/tiny-pruned.gguf", SHA256: strings.Repeat("ef", 32), Bytes: 3010 << 10, Params: 700, Layout: "deci", Meta: Meta{Name: "Tiny 0.7K pruned"}, Repair: &Repair{
			Tensors: 3, Types: []string{"F16"}, Text: "a.txt and built-in calibration text: 8192 tokens", Before: 14, After: 12.75,
		}},
		Check:  &Check{Positions: 384, Text: "held out", Convention: "windows", Context: 64, Sequences: 6, Masked: 12.5, Written: 12.5, StdErr: 0.25},
		Tables: []Table{{Title: "On held-out text", Caption: "windows of 64 tokens", Columns: []string{"original", "pruned"}, Rows: []Row{{"PPL", []string{"11.9 ± 0.2", "12.5 ± 0.2"}}, {"load | time", []string{"1 s"}}}}},
		Measured: []Measured{
			{Role: Original, Name: "tiny-Q8_0.gguf", Bytes: 4 << 20, PPL: 11.9, StdErr: 0.2},
			{Role: Pruned, Name: "tiny-pruned.gguf", Bytes: 3010 << 10, PPL: 12.5, StdErr: 0.2, Speed: 130},
			{Role: Repaired, Name: "pruned + repaired", Bytes: 3020 << 10, PPL: 12.2, StdErr: 0.2, Speed: 131},
			{Role: Rival, Name: "Q5_K_M", Bytes: 3000 << 10, PPL: 12.0, StdErr: 0.1, Speed: 110},
		},
		Command: []string{"ggufprune", "prune", "-m", "/home/me/models/tiny-Q8_0.gguf", "--plan=/home/me/plan.json", "--blocks", "2", "-f", "my text.jsonl"},
	}
}

// hostileInput has a name that tries everything, wherever names come from files.
func hostileInput() Input {
	in := exampleInput()
	p := in.Plan
	p.Model.Path, p.Model.Arch, p.Tool, p.LlamaCpp = hostile, hostile, hostile, hostile
	p.Calibration.Description, p.Calibration.Convention, p.Settings.Strategy, p.Metric = hostile, hostile, hostile, hostile
	in.PlanPath, in.Pruned.Path, in.Pruned.Layout = hostile, "dir/"+hostile, hostile
	meta := Meta{hostile, hostile, hostile, hostile, "https://x/" + hostile, "https://huggingface.co/" + hostile, hostile, []string{hostile}, []string{hostile}, hostile}
	in.Source.Meta, in.Pruned.Meta, in.Check.Text = meta, meta, hostile
	in.Tables = []Table{{hostile, hostile, []string{hostile}, []Row{{hostile, []string{hostile}}}, hostile}}
	for i := range in.Measured {
		in.Measured[i].Name = hostile
	}
	in.Command, in.Charts = []string{"ggufprune", hostile}, hostile
	return in
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (go test ./internal/report/page -update writes it anew):\n%s", name, diff)
	}
}

func TestCard(t *testing.T) {
	t.Parallel()
	in := exampleInput()
	in.Charts = "charts"
	got, err := Card(in)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "card.md", got)
	if bytes.Contains(got, []byte("/home/me")) {
		t.Error("the card tells of folders on this machine")
	}
}

func TestCardOfPlanAlone(t *testing.T) {
	t.Parallel()
	got, err := Card(Input{Plan: examplePlan(), PlanPath: "plan.json"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "card_plan.md", got)
}

// The page has the numbers that the plan has, each in its place.
func TestPageSays(t *testing.T) {
	t.Parallel()
	got, err := HTML(exampleInput())
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, want := range []string{
		`<html lang="en">`, "<title>Tiny 0.7K pruned: pruning report</title>", "Tiny 1K without 2 of its 6 attention and FFN blocks",
		"~10.5000", "×1.050", "step 2: ffn:1", "step 1: without attn:0 PPL 20.0000, &#43;100.0%", "estimated from 4 sequences: removed",
		"(not carried out)", "attn:1 is removed in step 1", "ffn:0 is kept", "smaller quantisation", "11.9 ± 0.2", strings.Repeat("ab", 32), strings.Repeat("cd", 32),
		"llama-server -m /home/me/tiny-pruned.gguf", "FROM /home/me/tiny-pruned.gguf", "ollama create tiny-pruned -f Modelfile",
		"ggufprune prune -m /home/me/models/tiny-Q8_0.gguf --plan=/home/me/plan.json --blocks 2 -f &#39;my text.jsonl&#39;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"<script", "javascript:", " src=", "@import", "url(", "NaN", "Inf", "%!", "ZgotmplZ"} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

// Nothing that a name says becomes mark-up, in any of the forms.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	in := hostileInput()
	page, err := HTML(in)
	if err != nil {
		t.Fatal(err)
	}
	card, err := Card(in)
	if err != nil {
		t.Fatal(err)
	}
	charts, err := Charts(in)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"page": page, "card": card}
	for _, c := range charts {
		all[c.Name] = c.SVG
	}
	for name, text := range all {
		for _, no := range []string{"<script>", "<img", "\x00", "\x1b", "\u202e", "ZgotmplZ"} {
			if name == "card" && no != "\u202e" && no != "\x00" && no != "\x1b" {
				continue // TestHostileCard knows which places are code
			}
			if bytes.Contains(text, []byte(no)) {
				t.Errorf("%s has %q", name, no)
			}
		}
	}
}

// In the card, a name's mark-up is escaped, but in code blocks, which show what they hold; and those cannot be ended from inside.
func TestHostileCard(t *testing.T) {
	t.Parallel()
	in := hostileInput()
	in.Command = append(in.Command, "```\n<script>")
	card, err := Card(in)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := strings.Cut(strings.TrimPrefix(string(card), "---\n"), "\n---\n")
	if !ok || strings.Contains(body, "\n---\n") {
		t.Fatal("the front matter does not end where it should")
	}
	for _, line := range strings.Split(head, "\n") {
		if strings.Contains(line, "script") && !strings.HasPrefix(line, `license_name: "`) && !strings.HasPrefix(line, `license_link: "`) {
			t.Errorf("front matter: %s", line)
		}
	}
	fence := ""
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if fence == "" && strings.HasPrefix(line, "```") {
			fence = strings.TrimSuffix(line, "bibtex")
			continue
		}
		if fence != "" {
			if line == fence {
				fence = ""
			}
			continue
		}
		if i := strings.Index(line, "<script"); i >= 0 && (i == 0 || line[i-1] != '\\') {
			t.Errorf("mark-up outside of code: %s", line)
		}
	}
	if fence != "" {
		t.Errorf("a code block is not closed: %q", fence)
	}
}

// SVG files are well-formed XML in the namespace of SVG, and PNG files have the size that they should.
func TestCharts(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]Input{"all": exampleInput(), "hostile": hostileInput(), "plan": {Plan: examplePlan()}} {
		charts, err := Charts(in)
		if err != nil {
			t.Fatal(err)
		}
		if want := 5; name != "plan" && len(charts) != want {
			t.Errorf("%s: %d charts, want %d", name, len(charts), want)
		}
		for _, c := range charts {
			dec := xml.NewDecoder(bytes.NewReader(c.SVG))
			titles := 0
			for {
				tok, err := dec.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s %s: %v", name, c.Name, err)
				}
				if e, ok := tok.(xml.StartElement); ok {
					if e.Name.Space != "http://www.w3.org/2000/svg" {
						t.Fatalf("%s %s: element %v", name, c.Name, e.Name)
					}
					if e.Name.Local == "title" {
						titles++
					}
				}
			}
			if titles == 0 {
				t.Errorf("%s %s has no title", name, c.Name)
			}
			img, err := png.Decode(bytes.NewReader(c.PNG))
			if err != nil {
				t.Fatalf("%s %s: %v", name, c.Name, err)
			}
			if b := img.Bounds(); b.Dx() < 2*400 || b.Dy() < 2*100 {
				t.Errorf("%s %s is %v", name, c.Name, b)
			}
		}
	}
}
