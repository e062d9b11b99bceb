package compare

import (
	"context"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
)

// quantizer plans every type as Q4_0, and the matrix at the output as Q8_0 where nothing else is said.
type quantizer struct{ enginetest.Runtime }

func (quantizer) ParseFileType(s string) (engine.FileType, error) {
	return engine.FileType{Name: s}, nil
}

func (quantizer) QuantizePlan(_ context.Context, in string, p engine.QuantizeParams) (out []engine.QuantizedTensor, err error) {
	f, err := gguf.Open(in)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, t := range f.Tensors() {
		q := engine.QuantizedTensor{Name: t.Name, Type: uint32(gguf.Q4_0), Changed: len(t.Dims) > 1}
		if t.Name == "output.weight" {
			q.Type = uint32(gguf.Q8_0)
			if p.OutputType != nil {
				q.Type = *p.OutputType
			}
		}
		out = append(out, q)
	}
	return out, nil
}

// All fit by plan, and those with a smaller matrix at the output come last.
func TestQuants(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open("../../testdata/tiny-11m-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := Quants(t.Context(), quantizer{}, f, f.Bytes())
	if err != nil || len(all) < 4 {
		t.Fatalf("%v, %v", all, err)
	}
	small := false
	for i, q := range all {
		if q.Bytes > f.Bytes() || q.Bytes <= 0 || !strings.HasPrefix(q.Name, q.Type) {
			t.Errorf("%+v of a file of %d bytes", q, f.Bytes())
		}
		is := q.Output != nil || q.Embeddings != nil
		if small && !is || is == (q.Name == q.Type) {
			t.Errorf("%d: %+v", i, q)
		}
		small = is
	}
	if !small {
		t.Errorf("none with a smaller output: %v", all)
	}
	// Between what the two kinds take, only those of the second fit.
	between, err := Quants(t.Context(), quantizer{}, f, all[0].Bytes-1)
	if err != nil || len(between) == 0 || between[0].Output == nil || *between[0].Output != gguf.Q4_0 || between[0].Bytes >= all[0].Bytes {
		t.Errorf("%+v, %v", between, err)
	}
	if none, err := Quants(t.Context(), quantizer{}, f, 1000); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}
