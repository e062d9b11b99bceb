package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/layout/metadata"
	"github.com/ggufprune/ggufprune/layout/naming"
)

// named is a model with the metadata that converters write.
func named() fixture {
	return fixture{arch: "llama", layers: 4, typ: gguf.Q8_0, general: []any{
		"general.type", "model", "general.name", "Llama 3.2 3B Instruct", "general.basename", "Llama-3.2", "general.finetune", "Instruct",
		"general.size_label", "3B", "general.version", "v1.1", "general.organization", "Meta", "general.uuid", "1234",
		"general.repo_url", "https://example.org/repo", "general.file_type", uint32(7), "general.quantization_version", uint32(2),
		"general.base_model.count", uint32(2), "general.base_model.0.name", "An ancestor", "general.base_model.1.name", "Another",
	}}
}

func TestProvenance(t *testing.T) {
	t.Parallel()
	f := named().open(t)
	removed := mask(t, "attn:2,ffn:1")
	res, err := Build(Request{Source: f, Blocks: blocksOf(f), Removed: removed, Provenance: Provenance{
		SourceSHA256: "abc", Metric: "perplexity", Calibration: "own text", Tool: "ggufprune 1.0", LlamaCpp: "v0.5.0",
		Removed:   []blockmask.Block{{Layer: 2, Kind: blockmask.Mixer}, {Layer: 1, Kind: blockmask.FFN}},
		BaseScore: 7.5, Scores: []float64{8, 9.25},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"general.name": "Llama 3.2 31K Instruct pruned", "general.basename": "Llama-3.2", "general.finetune": "Instruct-pruned",
		"general.size_label": "31K", "general.version": "v1.1", "general.file_type": uint32(7), "general.quantization_version": uint32(2),
		"general.uuid": nil, "general.base_model.count": uint32(1), "general.base_model.0.name": "Llama 3.2 3B Instruct",
		"general.base_model.0.organization": "Meta", "general.base_model.0.version": "v1.1", "general.base_model.0.uuid": "1234",
		"general.base_model.0.repo_url": "https://example.org/repo", "general.base_model.1.name": nil,
		"ggufprune.layout": "native", "ggufprune.mask": "ffn:1,attn:2", "ggufprune.removed": []string{"attn:2", "ffn:1"},
		"ggufprune.layers.mixer": []int32{0, 1, 3}, "ggufprune.layers.ffn": []int32{0, 2, 3},
		"ggufprune.params_removed": res.ParamsRemoved, "ggufprune.params_total": f.Params(),
		"ggufprune.source.sha256": "abc", "ggufprune.metric": "perplexity", "ggufprune.calibration": "own text",
		"ggufprune.base_score": 7.5, "ggufprune.scores": []float64{8, 9.25}, "ggufprune.tool": "ggufprune 1.0",
		"ggufprune.llama_cpp": "v0.5.0",
	} {
		if key == "general.size_label" || key == "general.name" {
			want = strings.ReplaceAll(want.(string), "31K", naming.SizeLabel(res.Params, 0, 0))
		}
		if d := cmp.Diff(want, value(t, res, key)); d != "" {
			t.Errorf("%s (-want +got):\n%s", key, d)
		}
	}
	// attn_q, k, v, output and norm of one layer, ffn_gate, up, down and norm of another.
	if want := uint64(64*64*2+64*32*2+64) + uint64(3*64*96+64); res.ParamsRemoved != want {
		t.Errorf("%d weights removed, want %d", res.ParamsRemoved, want)
	}
	if first := res.Plan.KVs[0].Key; first != "general.architecture" {
		t.Errorf("the file begins with %s", first)
	}
}

// TestProvenanceSparse: what is not known is not written.
func TestProvenanceSparse(t *testing.T) {
	t.Parallel()
	res := plan(t, fixture{arch: "llama", layers: 2}.open(t), Auto, "attn:1,ffn:1")
	for key, want := range map[string]any{
		"ggufprune.removed": []string{"attn:1", "ffn:1"}, "ggufprune.source.sha256": nil, "ggufprune.scores": nil,
		"ggufprune.base_score": nil, "general.name": nil, "general.finetune": "pruned", "general.base_model.count": uint32(1),
	} {
		if d := cmp.Diff(want, value(t, res, key)); d != "" {
			t.Errorf("%s (-want +got):\n%s", key, d)
		}
	}
}

// TestProvenanceOfProvenance: a file that is pruned again keeps what its source said of itself.
func TestProvenanceOfProvenance(t *testing.T) {
	t.Parallel()
	f := named().open(t)
	first := written(t, plan(t, f, Auto, "attn:1,ffn:1"))
	second := written(t, plan(t, first, Auto, "attn:0,ffn:0"))
	res := plan(t, second, Auto, "attn:1")
	for key, want := range map[string]any{
		"ggufprune.mask": "attn:1", "ggufprune.parent.mask": "attn:0,ffn:0", "ggufprune.parent.parent.mask": "attn:1,ffn:1",
		"general.finetune": "Instruct-pruned",
	} {
		if d := cmp.Diff(want, value(t, res, key)); d != "" {
			t.Errorf("%s (-want +got):\n%s", key, d)
		}
	}
}

func TestDefaultName(t *testing.T) {
	t.Parallel()
	meta := func(kvs ...any) []gguf.KV {
		m := &metadata.List{}
		if err := m.SetAll(kvs...); err != nil {
			t.Fatal(err)
		}
		return m.KVs
	}
	withType := func(ft uint32) *gguf.File {
		return fixture{arch: "llama", layers: 1, general: []any{"general.file_type", ft}}.open(t)
	}
	nameOf := func(f *gguf.File, kvs []gguf.KV, known string) string {
		return naming.DefaultName(f, kvs, known, naming.Encoding(f))
	}
	tests := []struct {
		f    *gguf.File
		kvs  []gguf.KV
		want string
	}{
		{withType(7), meta("general.basename", "Llama-3.2", "general.size_label", "2.6B", "general.finetune", "Instruct-pruned"), "Llama-3.2-2.6B-Instruct-pruned-v1.0-Q8_0.gguf"},
		{withType(15), meta("general.basename", "Mixtral", "general.size_label", "8x7B", "general.finetune", "pruned", "general.version", "0.1"), "Mixtral-8x7B-pruned-v0.1-Q4_K_M.gguf"},
		{withType(1024 + 1), meta("general.base_model.0.name", "Qwen2.5 0.5B Instruct", "general.size_label", "430M", "general.finetune", "Instruct-pruned"), "Qwen2.5-430M-Instruct-pruned-v1.0-F16.gguf"},
		{withType(9999), meta("general.size_label", "90K", "general.finetune", "pruned"), "source-90K-pruned-v1.0-F32.gguf"},
		{withType(2), meta("general.basename", "../a b/c", "general.size_label", "1B", "general.finetune", "x:y?"), "a-b-c-1B-x-y-v1.0-Q4_0.gguf"},
	}
	// Names that are none: the next source of one is taken, and the file's name begins with a letter or a digit.
	size := []any{"general.size_label", "90K", "general.finetune", "pruned"}
	for _, tt := range []struct {
		key, name, known, want string
	}{
		{"general.base_model.0.name", ".", "", "source-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.base_model.0.name", "..", "own", "own-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.base_model.0.name", "\U0001f999", "", "source-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.base_model.0.name", "7B", "", "source-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.basename", "-rf", "", "rf-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.basename", "__init__", "", "init__-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.basename", "./", "own", "own-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.basename", "模型", "", "模型-90K-pruned-v1.0-Q8_0.gguf"},
		{"general.basename", strings.Repeat("é", 300), "", strings.Repeat("é", 40) + "-90K-pruned-v1.0-Q8_0.gguf"},
	} {
		if got := nameOf(withType(7), meta(append(size, tt.key, tt.name)...), tt.known); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.key, tt.name, got, tt.want)
		}
	}
	if got := nameOf(withType(7), meta("general.basename", "A", "general.size_label", ".", "general.finetune", "-"), ""); got != "A-v1.0-Q8_0.gguf" {
		t.Errorf("%s of parts that are none", got)
	}
	unnamed := meta("general.size_label", "90K", "general.finetune", "pruned")
	if got, want := nameOf(withType(7), unnamed, "llama3.2"), "llama3.2-90K-pruned-v1.0-Q8_0.gguf"; got != want {
		t.Errorf("%s for a model that a program calls llama3.2, want %s", got, want)
	}
	if got, want := nameOf(asBlob(t, withType(7)), unnamed, ""), "llama-90K-pruned-v1.0-Q8_0.gguf"; got != want {
		t.Errorf("%s for a file that is named by its hash, want %s", got, want)
	}
	for _, tt := range tests {
		if got := nameOf(tt.f, tt.kvs, ""); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// asBlob opens f's file under a name as Ollama gives.
func asBlob(t *testing.T, f *gguf.File) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sha256-"+strings.Repeat("0123456789abcdef", 4))
	if err := os.Link(f.Paths()[0], path); err != nil {
		t.Fatal(err)
	}
	blob, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blob.Close() })
	return blob
}

func TestBaseOfSplitFile(t *testing.T) {
	t.Parallel()
	paths := gguftest.WriteSplit(t, t.TempDir(), "Qwen2.5-7B-Instruct-Q8_0", fixture{arch: "llama", layers: 2}.model(), 3)
	f, err := gguf.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := naming.DefaultName(f, nil, "", "Q8_0"); !strings.HasPrefix(got, "Qwen2.5-") || strings.Contains(got, "of") {
		t.Errorf("%q from %s", got, filepath.Base(paths[0]))
	}
	// The output is one file without traces of the split.
	res := plan(t, f, Auto, "attn:1")
	for _, kv := range res.Plan.KVs {
		if strings.HasPrefix(kv.Key, "split.") {
			t.Errorf("%s is still there", kv.Key)
		}
	}
	if out := written(t, res); len(out.Paths()) != 1 {
		t.Error("several files")
	}
}

// TestSizeLabelOfExperts: the number of experts times what one of them would run.
func TestSizeLabelOfExperts(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "qwen3moe", layers: 2, kvs: []any{"expert_count", uint32(8)}, layer: []string{
		"attn_q.weight 64 64", "attn_output.weight 64 64", "ffn_down_exps.weight 64 64 8",
	}}.open(t)
	res := plan(t, f, Auto, "attn:1,ffn:1")
	// embeddings and norm 576, attention 8192, one expert 4096
	if got := value(t, res, "general.size_label"); got != "8x13K" {
		t.Errorf("size label %v, want 8x13K", got)
	}
}
