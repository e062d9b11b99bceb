//go:build cgo

package peertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/imatrix/imatrixtest"
)

// llamaQuantize runs llama.cpp's tool.
func llamaQuantize(t *testing.T, args ...string) {
	t.Helper()
	tool := filepath.Join(filepath.Dir(peer), "llama-quantize")
	if out, err := exec.Command(tool, append(args, threads)...).CombinedOutput(); err != nil {
		t.Fatalf("llama-quantize %v: %v: %s", args, err, out[max(0, len(out)-500):])
	}
}

// matrices writes an importance matrix for the model in both formats.
func matrices(t *testing.T, model string) (current, old string) {
	t.Helper()
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	current, old = filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "m.dat")
	m := imatrixtest.Random(f, 1)
	if err := imatrixtest.Write(current, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, imatrixtest.Legacy(m), 0o600); err != nil {
		t.Fatal(err)
	}
	return current, old
}

// tensors returns the types and bytes of a file's tensors.
func tensors(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for _, tensor := range f.Tensors() {
		b, err := io.ReadAll(f.Data(tensor))
		if err != nil {
			t.Fatal(err)
		}
		out[tensor.Name] = tensor.Type.Name() + ":" + string(b)
	}
	return out
}

// sameTensors compares two files, except for the tensors for which other is true.
func sameTensors(t *testing.T, what, a, b string, other func(name string) bool) {
	t.Helper()
	x, y := tensors(t, a), tensors(t, b)
	if len(x) != len(y) {
		t.Errorf("%s: %d tensors, llama-quantize makes %d", what, len(x), len(y))
	}
	for name, bytes := range x {
		if bytes != y[name] && !other(name) {
			t.Errorf("%s: %s differs from llama-quantize's", what, name)
		}
	}
}

func none(string) bool { return false }

// The command writes llama-quantize's tensors, with each of its options and with importance matrices of both formats. Without an
// importance matrix, whose name is written, the files are the same bytes.
func TestQuantizeEqualsLlamaQuantize(t *testing.T) {
	current, old := matrices(t, models["F16"])
	for i, c := range []struct {
		model, typ string
		args       []string
	}{
		{"F16", "Q4_K_M", nil},
		{"F16", "Q2_K", []string{"--pure"}},
		{"F16", "Q8_0", []string{"--leave-output-tensor"}},
		{"F16", "Q4_0", []string{"--output-tensor-type", "q8_0", "--token-embedding-type", "Q5_1", "--tensor-type", `blk\.[0-3]\.attn_v=q6_K`}},
		{"Q8_0", "IQ4_XS", []string{"--allow-requantize"}},
		{"F16", "IQ2_XXS", []string{"--imatrix", current}},
		{"F16", "Q2_K_S", []string{"--imatrix", old}},
		{"F16", "Q4_0", []string{"--imatrix", current}},
	} {
		ours, theirs := filepath.Join(dir, fmt.Sprintf("ours-%d.gguf", i)), filepath.Join(dir, fmt.Sprintf("theirs-%d.gguf", i))
		ggufprune(t, append([]string{"quantize", models[c.model], ours, c.typ}, c.args...)...)
		llamaQuantize(t, append(c.args, models[c.model], theirs, c.typ)...)
		what := fmt.Sprintf("%s to %s %v", c.model, c.typ, c.args)
		sameTensors(t, what, ours, theirs, none)
		a, errA := os.ReadFile(ours)
		b, errB := os.ReadFile(theirs)
		if errA != nil || errB != nil || i < 5 && !bytes.Equal(a, b) {
			t.Errorf("%s: the files differ: %v, %v", what, errA, errB)
		}
	}
}

// A file that is quantised after pruning has the tensors that llama-quantize makes of the pruned one with the importance matrix
// that is written beside it; zeros are smaller. Types that need an entry for every matrix show that there is one.
func TestQuantizedPrunedFiles(t *testing.T) {
	archs := root + "/third_party/llama.cpp/build/archs/"
	for _, c := range []struct{ name, model, mask, layout, typ string }{
		{"stubs", models["F16"], "attn:0,attn:3,ffn:5,ffn:7", "deci", "Q2_K_S"},
		{"zeros", models["F16"], "attn:0,attn:3,ffn:5,ffn:7", "zeros", "Q2_K_S"},
		{"full layers", models["F16"], "attn:4-5,ffn:4-5", "native", "Q4_K_M"},
		{"permuted", archs + "exaone-dense.gguf", "attn:1", "deci", "Q4_0"},
		{"split", archs + "phi3-dense.gguf", "attn:1", "deci", "Q4_0"},
		{"experts", archs + "qwen3moe-moe.gguf", "attn:1", "zeros", "Q4_0"},
	} {
		if _, err := os.Stat(c.model); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		current, _ := matrices(t, c.model)
		folder := t.TempDir()
		plain, ours := filepath.Join(folder, "plain.gguf"), filepath.Join(folder, "ours.gguf")
		theirs, carried := filepath.Join(folder, "theirs.gguf"), filepath.Join(folder, "carried.gguf")
		args := []string{"apply", "--repair", "off", "-m", c.model, "--mask", c.mask, "--layout", c.layout, "-f", text, "-c", "128", "--chunks", "2", "-q"}
		ggufprune(t, append(args, "-o", plain)...)
		raw := ggufprune(t, append(args, "-o", ours, "--quantize", c.typ, "--imatrix", current, "--imatrix-out", carried, "--json")...)
		var o struct {
			Quantized struct {
				Passed bool `json:"passed"`
			} `json:"quantized"`
		}
		if err := json.Unmarshal([]byte(raw), &o); err != nil || !o.Quantized.Passed {
			t.Errorf("%s: %v: %s", c.name, err, raw)
		}
		llamaQuantize(t, "--imatrix", carried, plain, theirs, c.typ)
		zeros := map[string]bool{}
		if c.layout == "zeros" {
			for name, content := range tensors(t, plain) {
				_, data, _ := strings.Cut(content, ":")
				zeros[name] = len(strings.Trim(data, "\x00")) == 0
			}
		}
		sameTensors(t, c.name, ours, theirs, func(name string) bool { return zeros[name] })
	}
}
