package widthbench

import (
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
)

func TestFigureNames(t *testing.T) {
	t.Parallel()
	o := options{judgeTexts: "a/wiki.test.txt,b/instr.jsonl", ratio: 0.07}
	got, err := o.judges()
	if want := []text{{"wiki.test", "a/wiki.test.txt"}, {"instr", "b/instr.jsonl"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	o.names = "wiki,other"
	if got, err = o.judges(); err != nil || got[0].name != "wiki" || got[1].name != "other" {
		t.Errorf("%v, %v", got, err)
	}
	o.names = "wiki"
	if _, err = o.judges(); err == nil {
		t.Error("one name for two texts is no error")
	}
	if got := join("width", o.percent(), "", "wiki", "ratio"); got != "width_07_wiki_ratio" {
		t.Error(got)
	}
}

// Only what the user says is said to prune.
func TestPruneArgs(t *testing.T) {
	t.Parallel()
	o := options{model: "m.gguf", ratio: 0.2, threads: 2, tokens: 4096, seed: 3}
	got := strings.Join(o.pruneArgs("o.gguf", "p.json", nil), " ")
	if want := "prune --model m.gguf --ratio 0.2 --threads 2 --output o.gguf --plan p.json --no-compare"; got != want {
		t.Error(got)
	}
	o.fitTexts, o.given = "a,b", map[string]bool{"tokens": true, "seed": true}
	got = strings.Join(o.pruneArgs("o.gguf", "p.json", []string{"--kind", "mix"}), " ")
	if want := "--no-compare --repair-text a --repair-text b --repair-tokens 4096 --seed 3 --kind mix"; !strings.HasSuffix(got, want) {
		t.Error(got)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	o := options{output: "d/small.gguf", run: &run{}}
	for suffix, want := range map[string]string{"": "d/small.gguf", "-blocks": "d/small-blocks.gguf"} {
		if got, err := o.destination(suffix); err != nil || got != want {
			t.Errorf("%q: %s, %v", suffix, got, err)
		}
	}
}

func TestReadPPL(t *testing.T) {
	t.Parallel()
	if got, err := readPPL(`{"command": "ppl", "ppl": 12.5}`); err != nil || got != 12.5 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", `{"ppl": null}`, "PPL = 3"} {
		if _, err := readPPL(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	tensor := func(name string, size int64, dims ...uint64) gguf.Tensor {
		return gguf.Tensor{Name: name, Dims: dims, Size: size}
	}
	embedding := tensor("token_embd.weight", 1000, 10, 100)
	block := []gguf.Tensor{
		tensor("blk.0.attn_output.weight", 100, 10, 10), tensor("blk.0.ffn_down.weight", 200, 20, 10), tensor("blk.0.ffn_norm.weight", 40, 10),
	}
	// 300 in matrices, 10 a position in sight for scores and as many for values, and the head for one of 4 positions.
	const want = 300 + 2*10*2.5 + 1000./4
	for _, c := range []struct {
		name    string
		tensors []gguf.Tensor
		bytes   float64
	}{{"tied", append(block[:3:3], embedding), 1340}, {"untied", append(block[:3:3], embedding, tensor("output.weight", 2000, 10, 100)), 2340}} {
		if got, err := loadOf(c.tensors, 4); err != nil || got != (load{c.bytes, want}) {
			t.Errorf("%s: %+v, %v; want %v and %v", c.name, got, err, c.bytes, want)
		}
	}
	if _, err := loadOf([]gguf.Tensor{tensor("blk.0.ffn_down_exps.weight", 1, 2, 2, 2)}, 4); err == nil {
		t.Error("experts are no error")
	}
}
