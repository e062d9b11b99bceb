package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
)

// variant writes the small model to dir/name in another type of matrices, after change has seen its plan. The weights are zeros.
func variant(t *testing.T, dir, name string, typ gguf.Type, change func(p *gguf.Plan)) string {
	t.Helper()
	f, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &gguf.Plan{KVs: f.KVs()}
	for _, ten := range f.Tensors() {
		to := gguf.PlanTensor{Name: ten.Name, Type: ten.Type, Dims: ten.Dims, Data: gguf.Copy(f, ten)}
		if len(ten.Dims) > 1 {
			to.Type, to.Data = typ, gguf.Zeros(typ.RowBytes(ten.Dims[0])*ten.Rows())
		}
		p.Tensors = append(p.Tensors, to)
	}
	if change != nil {
		change(p)
	}
	path := filepath.Join(dir, name)
	w, err := gguf.WriteTemp(t.Context(), path, p, gguf.WriteOptions{})
	if err == nil {
		_, err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// set puts a value in place of a key's, or takes the key away for nil.
func set(t *testing.T, key string, value any) func(p *gguf.Plan) {
	return func(p *gguf.Plan) {
		p.KVs = slices.DeleteFunc(p.KVs, func(kv gguf.KV) bool { return kv.Key == key })
		if value == nil {
			return
		}
		kv, err := gguf.NewKV(key, value)
		if err != nil {
			t.Error(err)
		}
		p.KVs = append(p.KVs, kv)
	}
}

// both makes the same change with several keys.
func both(changes ...func(p *gguf.Plan)) func(p *gguf.Plan) {
	return func(p *gguf.Plan) {
		for _, c := range changes {
			c(p)
		}
	}
}

// Another quantisation of the model is known by its header; a fine-tune, another version, size or vocabulary, a pruned file and one
// whose norm was trained are other models. Where a part of the name is missing, the whole name must be the same.
func TestSameModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(path string) *gguf.File {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	original := open(tinyModel)
	unnamed := open(variant(t, dir, "unnamed.gguf", gguf.Q8_0, set(t, "general.basename", nil)))
	nameless := open(variant(t, dir, "nameless.gguf", gguf.Q8_0, both(set(t, "general.basename", nil), set(t, "general.name", nil))))
	for i, c := range []struct {
		what   string
		of     *gguf.File
		change func(p *gguf.Plan)
		want   bool
	}{
		{"another type", original, nil, true},
		{"another case", original, set(t, "general.basename", "TINY-llama-TEST"), true},
		{"another name beside the parts", original, set(t, "general.name", "x"), true},
		{"another base name", original, set(t, "general.basename", "x"), false},
		{"another size", original, set(t, "general.size_label", "12M"), false},
		{"a fine-tune", original, set(t, "general.finetune", "Instruct"), false},
		{"another version", original, set(t, "general.version", "v2"), false},
		{"no base name, the same name", original, set(t, "general.basename", nil), true},
		{"of no base name, the same name", unnamed, nil, true},
		{"of no base name, another name", unnamed, set(t, "general.name", "x"), false},
		{"of no names", nameless, both(set(t, "general.basename", nil), set(t, "general.name", nil)), false},
		{"another architecture", original, set(t, "general.architecture", "qwen2"), false},
		{"another splitting", original, set(t, "tokenizer.ggml.pre", "llama-bpe"), false},
		{"other tokens", original, set(t, "tokenizer.ggml.tokens", []string{"a", "b"}), false},
		{"no BOS in front", original, set(t, "tokenizer.ggml.add_bos_token", false), false},
		{"BOS unsaid", original, set(t, "tokenizer.ggml.add_bos_token", nil), true},
		{"ours", original, set(t, "ggufprune.mask", "attn:1"), false},
		{"fewer blocks", original, func(p *gguf.Plan) {
			p.Tensors = slices.DeleteFunc(p.Tensors, func(x gguf.PlanTensor) bool { return strings.HasPrefix(x.Name, "blk.11.") })
		}, false},
		{"more blocks", original, func(p *gguf.Plan) {
			extra := p.Tensors[len(p.Tensors)-1]
			extra.Name = "blk.12.attn_q.weight"
			p.Tensors = append(p.Tensors, extra)
		}, false},
		{"another norm", original, func(p *gguf.Plan) {
			i := slices.IndexFunc(p.Tensors, func(x gguf.PlanTensor) bool { return x.Name == "output_norm.weight" })
			p.Tensors[i].Data = gguf.Zeros(p.Tensors[i].Data.Size())
		}, false},
	} {
		if got := sameModel(c.of, open(variant(t, dir, fmt.Sprintf("%d.gguf", i), gguf.Q4_0, c.change))); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// quantised is a job on an original of few bits, its folder, and the pruned file's path.
func quantised(t *testing.T) (j Job, dir string) {
	t.Helper()
	dir = t.TempDir()
	j = job(enginetest.Runtime{}, pruned(t))
	j.Models[0].Path = variant(t, dir, "tiny-Q5_1.gguf", gguf.Q5_1, nil)
	j.Models[1].Path = variant(t, t.TempDir(), "pruned.gguf", gguf.Q4_1, set(t, "ggufprune.mask", "attn:1"))
	j.Rival = RivalAuto
	vars := map[string]string{"OLLAMA_MODELS": filepath.Join(dir, "store")}
	j.Nearby = modelref.Places{Getenv: func(k string) string { return vars[k] }, Home: filepath.Join(dir, "home"), GOOS: "linux"}.Nearby
	return j, dir
}

// Of a quantised original the rival is the largest of its quantisations on this machine that is no larger than the pruned file.
func TestFoundRival(t *testing.T) {
	t.Parallel()
	j, dir := quantised(t)
	snapshot := filepath.Join(dir, "home", ".cache", "huggingface", "hub", "models--me--tiny", "snapshots", strings.Repeat("a", 40))
	if err := os.MkdirAll(snapshot, 0o755); err != nil {
		t.Fatal(err)
	}
	variant(t, dir, "tiny-Q8_0.gguf", gguf.Q8_0, nil) // too large
	variant(t, dir, "tiny-Q2_K.gguf", gguf.Q2_K, nil)
	variant(t, dir, "tuned-Q4_0.gguf", gguf.Q4_0, set(t, "general.finetune", "x"))
	variant(t, dir, "pruned-Q4_0.gguf", gguf.Q4_0, set(t, "ggufprune.mask", "attn:1"))
	if err := os.WriteFile(filepath.Join(dir, "damaged.gguf"), make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	sink := new(progresstest.Listener)
	out, err := Run(t.Context(), j, sink)
	if err != nil || out.Rival.Origin != Found || out.Rival.Label != "tiny-Q2_K.gguf" || out.Rival.Type != "Q2_K" || len(out.Rows) != 3 {
		t.Fatalf("%+v, %v", out.Rival, err)
	}
	if notes := strings.Join(sink.Notes, "\n"); !strings.Contains(notes, "the rival is %s, found on this machine: %s") {
		t.Errorf("%s", notes)
	}
	if last := out.Rows[2]; last.Path != out.Rival.Path || last.Label != "tiny-Q2_K.gguf" || last.Bytes != out.Rival.Bytes || !strings.Contains(out.Verdict, "tiny-Q2_K.gguf is ") {
		t.Errorf("%+v, %s", last, out.Verdict)
	}

	// A larger one that is far goes before a small one that is near.
	want := variant(t, snapshot, "far-Q4_0.gguf", gguf.Q4_0, nil)
	if out = run(t, j); out.Rival.Path != want {
		t.Errorf("%+v", out.Rival)
	}

	// One that does not load gives way to the next, and to what is made in the end.
	j.Spec.Engine = enginetest.Runtime{OnLoad: func(p string) error {
		if p == want {
			return errors.New("does not load")
		}
		return nil
	}}
	sink = new(progresstest.Listener)
	if out, err = Run(t.Context(), j, sink); err != nil || out.Rival.Label != "tiny-Q2_K.gguf" || len(out.Rows) != 3 {
		t.Errorf("%+v, %v", out.Rival, err)
	}
	if notes := strings.Join(sink.Notes, "\n"); strings.Count(notes, "%s is no rival after all: %v") != 1 {
		t.Errorf("%s", notes)
	}

	// A quant that is compared anyway is no rival of itself.
	j, dir = quantised(t)
	j.Models[1].Path = variant(t, dir, "tiny-Q4_0.gguf", gguf.Q4_0, nil)
	if out = run(t, j); out.Rival.Origin == Found {
		t.Errorf("of itself: %+v", out.Rival)
	}
}

// Where no quantisation is here, one is made of the quantised original, and said to be at a disadvantage. Where that cannot be, the
// reason is told, and the rest of the comparison stands.
func TestRequantizedRival(t *testing.T) {
	t.Parallel()
	j, _ := quantised(t)
	j.Rival = "Q4_K_M"
	out := run(t, j)
	if r := out.Rival; r.Origin != Requantized || r.Type != "Q4_K_M" || r.From != "Q5_1" || r.Path != "" || out.Rows[2].Path != "" {
		t.Errorf("%+v", r)
	}
	if want := " Q4_K_M was requantised from Q5_1, which costs it quality; a quant made from the full-precision model would be better, and --rival FILE sets one beside it."; !strings.HasSuffix(out.Verdict, want) {
		t.Errorf("%q", out.Verdict)
	}
	j.Rival = "Q8_0"
	if out = run(t, j); !strings.HasPrefix(out.Rival.Note, "Q8_0 is larger: 11.8 MiB against ") || !strings.Contains(out.Rival.Note, "MiB. Q8_0 was requantised from ") {
		t.Errorf("%q", out.Rival.Note)
	}
	// Of this size the test's quantiser knows no type.
	j.Rival = RivalAuto
	j.Models[1].Path = variant(t, t.TempDir(), "small.gguf", gguf.Q3_K, set(t, "ggufprune.mask", "attn:1"))
	out = run(t, j)
	if r := out.Rival; r.Type != "" || len(out.Rows) != 2 || !strings.HasPrefix(r.Reason, "unknown quantisation type") ||
		!strings.HasSuffix(r.Reason, ", and none was found on this machine; name one with --rival FILE") {
		t.Errorf("%+v", r)
	}
	if !strings.HasPrefix(out.Verdict, "Nothing to set against it: unknown") {
		t.Errorf("%q", out.Verdict)
	}
	// Of an original of many bits, one is made as before, whatever lies beside it.
	j = job(enginetest.Runtime{}, pruned(t))
	j.Rival, j.Nearby = "Q4_K_M", func(string) []modelref.Neighbour { panic("looked for in vain") }
	if r := run(t, j).Rival; r.Origin != Made || r.From != "" || r.Note != "" {
		t.Errorf("%+v", r)
	}
}

// The user's rival is taken as it is, also where it is larger. It must be of the same architecture and vocabulary.
func TestGivenRival(t *testing.T) {
	t.Parallel()
	j, dir := quantised(t)
	give := func(path string) Job {
		j := j
		j.RivalFile = Contender{Label: "mine", Path: path}
		return j
	}
	out := run(t, give(variant(t, dir, "any.gguf", gguf.Q4_0, set(t, "general.basename", "x"))))
	if r := out.Rival; r.Origin != Given || r.Label != "mine" || r.Type != "Q4_0" || r.Note != "" || out.Rows[2].Path != r.Path {
		t.Errorf("%+v", r)
	}
	if out = run(t, give(tinyModel)); !strings.Contains(out.Verdict, "mine is larger: 11.8 MiB against ") {
		t.Errorf("%q", out.Verdict)
	}
	text := filepath.Join(dir, "text.gguf")
	if err := os.WriteFile(text, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "gone.gguf"): "does not exist; check the path given with --rival",
		text:                            "is not a GGUF file",
		j.Models[0].Path:                "rival mine is ",
		j.Models[1].Path:                "rival mine is compared anyway",
		variant(t, dir, "arch.gguf", gguf.Q4_0, set(t, "general.architecture", "qwen2")):          "rival mine has the architecture qwen2, the original llama",
		variant(t, dir, "tokens.gguf", gguf.Q4_0, set(t, "tokenizer.ggml.tokens", []string{"a"})): "rival mine has another tokenizer than the original",
		variant(t, dir, "encoder.gguf", gguf.Q4_0, set(t, "llama.attention.causal", false)):       "is an encoder",
		variant(t, dir, "model.gguf", gguf.Q4_0, set(t, "tokenizer.ggml.model", "gpt2")):          "another tokenizer",
	} {
		g := give(path)
		g.Spec.Engine = enginetest.Runtime{OnLoad: func(string) error { return errors.New("loaded in vain") }}
		if _, err := Run(t.Context(), g, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := give(j.Models[0].Path).CheckRival(j.Models[0].Path); err == nil || !strings.Contains(err.Error(), "is the original itself") {
		t.Errorf("%v", err)
	}
	if err := j.CheckRival("none"); err != nil {
		t.Errorf("without one: %v", err)
	}
}

// Of hundreds of files few are opened, the near ones among them.
func TestManyNeighbours(t *testing.T) {
	t.Parallel()
	j, dir := quantised(t)
	c := &comparer{j: j, sink: new(progresstest.Listener)}
	defer c.close()
	for _, m := range j.Models {
		f, err := gguf.Open(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, f)
	}
	one := variant(t, dir, "tiny-Q2_K.gguf", gguf.Q2_K, nil)
	var all []modelref.Neighbour
	for i := range 3 * mostOpened {
		path := filepath.Join(dir, fmt.Sprintf("%d.gguf", i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 5<<20+int64(i)); err != nil {
			t.Fatal(err)
		}
		all = append(all, modelref.Neighbour{Name: "x", Path: path})
	}
	link := filepath.Join(dir, "link.gguf")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	all = append([]modelref.Neighbour{{Name: "one", Path: one, Near: true}, {Name: "again", Path: link, Near: true}}, all...)
	got := candidates(c.files[0], all, c.files[1].Bytes(), c.compared)
	if len(got) != mostOpened || got[len(got)-1].Name != "one" || !slices.IsSortedFunc(got, func(a, b neighbour) int { return int(b.bytes - a.bytes) }) {
		t.Errorf("%d: %+v", len(got), got)
	}
}
