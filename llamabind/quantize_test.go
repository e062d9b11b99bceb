package llamabind_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/llamabind"
)

func TestParseFileType(t *testing.T) {
	for s, want := range map[string]string{"q4_k_m": "Q4_K_M", "Q4_K": "Q4_K_M", "15": "Q4_K_M", "IQ2_XXS": "IQ2_XXS", "0": "F32"} {
		if got, err := llamabind.ParseFileType(s); err != nil || got.Name != want {
			t.Errorf("%s: %v, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "Q9", "COPY", "-1", "999"} {
		if got, err := llamabind.ParseFileType(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}

// The plan of a dry run is what the file holds afterwards.
func TestQuantizePlan(t *testing.T) {
	p := engine.QuantizeParams{Threads: 2, AllowRequantize: true}
	p.Type, _ = llamabind.ParseFileType("Q4_K_M")
	q6, _ := llamabind.TensorType("q6_K")
	p.EmbeddingType = &q6
	p.TensorTypes = []engine.TensorRule{{Pattern: `blk\.1\.ffn_up`, Type: uint32(gguf.Q8_0)}, {Pattern: "attn_k", Type: uint32(gguf.Q5_1)}}
	plan, err := llamabind.QuantizePlan(t.Context(), tiny, p)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "q.gguf")
	var names []string
	err = llamabind.QuantizeModel(t.Context(), tiny, out, p, func(i, n int, name string) {
		if n != len(plan) || i != len(names)+1 {
			t.Errorf("progress %d of %d after %d tensors", i, n, len(names))
		}
		names = append(names, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := gguf.Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if len(plan) != len(f.Tensors()) || len(names) != len(plan) {
		t.Fatalf("%d planned, %d reported, %d written", len(plan), len(names), len(f.Tensors()))
	}
	for i, want := range plan {
		got, _ := f.Tensor(want.Name)
		before, _ := source.Tensor(want.Name)
		if names[i] != want.Name || want.Changed && got.Type != gguf.Type(want.Type) || !want.Changed && got.Type != before.Type {
			t.Errorf("%s: %v, planned %+v, before %v", want.Name, got.Type, want, before.Type)
		}
	}
	if got, _ := f.Tensor("blk.1.ffn_up.weight"); got.Type != gguf.Q8_0 {
		t.Errorf("blk.1.ffn_up is %v", got.Type)
	}
	if got, _ := f.Tensor("token_embd.weight"); got.Type != gguf.Q6_K {
		t.Errorf("token_embd is %v", got.Type)
	}
}

// What llama.cpp cannot do is one line, and a cancelled context ends the work between two tensors.
func TestQuantizeErrors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "q.gguf")
	q4, _ := llamabind.ParseFileType("Q4_K_M")
	iq2, _ := llamabind.ParseFileType("IQ2_XXS")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		what, in, text string
		p              engine.QuantizeParams
		progress       func(i, n int, name string)
	}{
		{"quantised", tiny, "requantizing from type q8_0 is disabled", engine.QuantizeParams{Type: q4}, nil},
		{"no imatrix", tiny, "requires an imatrix", engine.QuantizeParams{Type: iq2, AllowRequantize: true}, nil},
		{"no file", "no.gguf", "no.gguf", engine.QuantizeParams{Type: q4}, nil},
		{"cancelled", tiny, "cancelled", engine.QuantizeParams{Type: q4, AllowRequantize: true}, func(i, _ int, _ string) {
			if i == 3 {
				cancel()
			}
			if i > 4 {
				t.Errorf("tensor %d was quantised after the end", i)
			}
		}},
	} {
		err := llamabind.QuantizeModel(ctx, c.in, out, c.p, c.progress)
		if err == nil || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.what, err, c.text)
		}
		if (c.what == "cancelled") != errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// An assertion of ggml would end the process: types that need an imatrix are known before.
func TestNeedsIMatrix(t *testing.T) {
	p := engine.QuantizeParams{Pure: true, AllowRequantize: true}
	for name, want := range map[string]bool{"IQ2_XXS": true, "IQ1_S": true, "IQ2_S": true, "Q4_K_M": false, "Q2_K_S": true, "Q2_K": false, "F16": false} {
		p.Type, _ = llamabind.ParseFileType(name)
		p.Pure = name != "Q2_K_S"
		p.IMatrix = map[string][]float32{"none": {1}} // a dry run with none at all is the quantiser's own error
		plan, err := llamabind.QuantizePlan(t.Context(), tiny, p)
		if err != nil {
			t.Fatal(err)
		}
		need := false
		for _, tensor := range plan {
			need = need || llamabind.NeedsIMatrix(tensor, p.Type)
		}
		if need != want {
			t.Errorf("%s needs an imatrix: %v, want %v", name, need, want)
		}
	}
}
