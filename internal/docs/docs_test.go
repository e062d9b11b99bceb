package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// read returns a document of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what stands between a heading of FORMATS.md and the next of the same level.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, "docs/FORMATS.md"), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("FORMATS.md has no %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	text, _, _ = strings.Cut(text, "\n"+level+" ")
	return text
}

var (
	quoted = regexp.MustCompile("`([^`\n]+)`")
	row    = regexp.MustCompile(`(?m)^\| (.*?) \|`)
)

// inQuotes returns what text sets in `backquotes`.
func inQuotes(text string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// firstCells returns what the first cells of text's tables set in backquotes.
func firstCells(text string) []string {
	var out []string
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		out = append(out, inQuotes(m[1])...)
	}
	return out
}

// sameNames complains about names of the code that the document lacks, and the other way round.
func sameNames(t *testing.T, what string, code, document []string) {
	t.Helper()
	for _, name := range code {
		if !slices.Contains(document, name) {
			t.Errorf("%s: %s is not in FORMATS.md", what, name)
		}
	}
	for _, name := range document {
		if !slices.Contains(code, name) {
			t.Errorf("%s: FORMATS.md has %s, the file has not", what, name)
		}
	}
}

// keys collects the names of all fields in a JSON value.
func keys(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			out = append(append(out, name), keys(field)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, keys(e)...)
		}
	}
	return out
}

// fields returns the names of all fields in JSON text.
func fields(t *testing.T, text []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return keys(v)
}

// full is a plan with everything in it that a plan may have.
func full() *plan.Plan {
	attn, ffn := blockmask.Block{Kind: blockmask.Mixer}, blockmask.Block{Kind: blockmask.FFN}
	hash := strings.Repeat("0", 64)
	return &plan.Plan{
		Tool: "ggufprune", LlamaCpp: "v0.5.0", Metric: "ppl", Base: 6,
		Model:       plan.Model{SHA256: hash, Params: 100, Blocks: blockmask.New(attn, ffn), Channels: []int{9}},
		Calibration: plan.Calibration{TokensSHA256: hash, Chat: true, Self: &plan.SelfText{}},
		Settings: search.Settings{
			Strategy: "fast", Unit: blockmask.Mix, Confidence: 0.9, Tolerance: 0.001, Finalists: 2, Admit: 7, AuditEvery: 4,
			Goal: search.Goal{Blocks: 1, Ratio: 0.1, Size: 1, Speedup: 1.1, MaxPPLRatio: 1.1, MaxKLD: 0.1},
		},
		Audit: &search.Audit{}, Refine: &search.Refined{}, HeldOut: &plan.HeldOut{},
		Shapes: []plan.Shape{{Ratio: 0.1, Size: 1, KLD: 0.1, Accuracy: new(float64), Chosen: true}},
		Kinds:  []plan.Kind{{Before: 6, After: 7, Unseen: true}},
		Tasks:  []plan.Task{{Items: 1}},
		Steps: []search.Step{{
			Index: 1, Removed: blockmask.New(attn), Score: 7, ParamsRemoved: 10, Ratio: 0.1, Size: 1, Speedup: 1.1, Cost: 1, PaperCost: 2,
			Candidates: []search.Candidate{{Mask: blockmask.New(attn), Score: 7, Sequences: 8}},
		}},
	}
}

func TestPlanFields(t *testing.T) {
	t.Parallel()
	text, err := full().Encode()
	if err != nil {
		t.Fatal(err)
	}
	code, page := fields(t, text), section(t, "## Plans")
	for _, name := range code {
		if !slices.Contains(inQuotes(page), name) {
			t.Errorf("a plan's %s is not in FORMATS.md", name)
		}
	}
	for _, name := range firstCells(page) {
		if !slices.Contains(code, name) {
			t.Errorf("FORMATS.md has %s, a plan has not", name)
		}
	}
	for _, unit := range blockmask.Units() {
		if !strings.Contains(page, `"`+string(unit)+`"`) {
			t.Errorf("settings.kind %q is not in FORMATS.md", unit)
		}
	}
}

// The journal's example lines have the fields that a journal has, and a note is written as the page says.
func TestJournalFields(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, err := journal.Open[search.Measurement](path, journal.Header{Config: json.RawMessage("{}")}, journal.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.SetNote("schedule", struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := section(t, "## Journals")
	for line := range strings.Lines(string(text)) {
		var outer struct {
			CRC    string          `json:"crc32c"`
			Record json.RawMessage `json:"r"`
		}
		if err := json.Unmarshal([]byte(line), &outer); err != nil || len(outer.CRC) != 8 {
			t.Fatalf("line %q: %v", line, err)
		}
		if !strings.Contains(page, "\n    "+string(outer.Record)+"\n") {
			t.Errorf("FORMATS.md lacks the record %s", outer.Record)
		}
	}
}

// pruned is the plan of the small model's file without two blocks.
func pruned(t *testing.T) *layout.Result {
	t.Helper()
	f, err := gguf.Open(filepath.Join("..", "..", "testdata", "tiny-11m-Q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var blocks []layout.Block
	for layer := range 12 {
		for _, kind := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			b := blockmask.Block{Layer: layer, Kind: kind}
			var weights []string
			for _, tensor := range f.Tensors() {
				if strings.HasPrefix(tensor.Name, "blk."+strings.TrimPrefix(b.String(), kind.String()+":")+"."+kind.String()+"_") {
					weights = append(weights, tensor.Name)
				}
			}
			blocks = append(blocks, layout.Block{Block: b, Weights: weights})
		}
	}
	kept, err := blockmask.ParseIndices("0-31")
	if err != nil {
		t.Fatal(err)
	}
	cut := blockmask.Cut{Block: blocks[7].Block, Channels: kept}
	res, err := layout.Outline(layout.Request{
		Source: f, Blocks: blocks, Removed: blockmask.Of(cut).With(blocks[6].Block, blocks[9].Block),
		Provenance: layout.Provenance{
			Repair:       &layout.RepairRecord{Tensors: []string{"t"}, Methods: []string{"full"}, Lambdas: []float64{1}, Types: []string{"F16"}, Calibration: "c", Positions: 1},
			SourceSHA256: "0", Metric: "perplexity", Calibration: "c", Tool: "t", LlamaCpp: "l", BaseScore: 6, Scores: []float64{6, 7},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestMetadataKeys(t *testing.T) {
	t.Parallel()
	var code []string
	types := map[string]string{}
	for _, kv := range pruned(t).Plan.KVs {
		if !strings.HasPrefix(kv.Key, "ggufprune.") {
			continue
		}
		code = append(code, kv.Key)
		v, err := kv.Value()
		if err != nil {
			t.Fatal(err)
		}
		switch v.(type) {
		case string:
			types[kv.Key] = "string"
		case []string:
			types[kv.Key] = "[string]"
		case []int32:
			types[kv.Key] = "[int32]"
		case uint64:
			types[kv.Key] = "uint64"
		case float64:
			types[kv.Key] = "float64"
		case []float64:
			types[kv.Key] = "[float64]"
		}
	}
	page := section(t, "### Keys of `ggufprune.*`")
	sameNames(t, "metadata", code, firstCells(page))
	for key, typ := range types {
		if !strings.Contains(page, "| `"+key+"` | "+typ+" |") {
			t.Errorf("%s is a %s; FORMATS.md says something else", key, typ)
		}
	}
}

// What general.* has in the pruned file beyond the source's is in the page.
func TestGeneralKeys(t *testing.T) {
	t.Parallel()
	page := section(t, "### Keys of `general.*`")
	documented := inQuotes(page)
	for _, kv := range pruned(t).Plan.KVs {
		base, isBase := strings.CutPrefix(kv.Key, "general.base_model.0.")
		switch {
		case isBase && !slices.Contains(documented, base):
			t.Errorf("general.base_model.0.%s is not in FORMATS.md", base)
		case kv.Key == "general.base_model.count" && !slices.Contains(documented, kv.Key):
			t.Errorf("%s is not in FORMATS.md", kv.Key)
		}
	}
}

func TestLayoutsAreListed(t *testing.T) {
	t.Parallel()
	for name, listed := range map[string][]string{
		"FORMATS.md": firstCells(section(t, "### Layouts")),
		"USAGE.md":   firstCells(read(t, "docs/USAGE.md")),
	} {
		for _, kind := range layout.Kinds {
			if kind != layout.Auto && !slices.Contains(listed, string(kind)) {
				t.Errorf("%s does not list the layout %s", name, kind)
			}
		}
	}
}

func TestMaskExamples(t *testing.T) {
	t.Parallel()
	page, _, _ := strings.Cut(section(t, "## Masks"), "\n### ")
	if !strings.Contains(page, "`attn:3,ffn:7-9`") {
		t.Fatal("FORMATS.md has no example of a mask")
	}
	m, err := blockmask.Parse("attn:3,ffn:7-9")
	if err != nil || m.String() != "attn:3,ffn:7-9" || m.Len() != 4 {
		t.Errorf("the example is %v, %v", m, err)
	}
	for _, kind := range regexp.MustCompile(`"([a-z]+)"`).FindAllStringSubmatch(page, -1) {
		if _, err := blockmask.Parse(kind[1] + ":0"); err != nil {
			t.Errorf("kind of the grammar: %v", err)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Every file that a document links to is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		pages = append(pages, filepath.Join("..", "..", name))
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(page), m[1], err)
			}
		}
	}
}
