package metadata

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/gguf"
)

func TestPickKeepsBytes(t *testing.T) {
	t.Parallel()
	kv, err := gguf.NewKV("x", []uint16{5, 6, 7})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := ParseArray(kv)
	if !ok || a.Len() != 3 || a.Elem != gguf.ValueUint16 {
		t.Fatalf("parsed as %+v, %v", a, ok)
	}
	v, err := a.Pick("y", []int{2, 0, 2}).Value()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]uint16{7, 5, 7}, v); d != "" {
		t.Error(d)
	}
}

func TestParseArrayRejects(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{"a string": "s", "a number": uint32(3), "strings": []string{"a"}} {
		kv, err := gguf.NewKV("x", v)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ParseArray(kv); ok {
			t.Errorf("%s was taken for an array of numbers", name)
		}
	}
	kv, _ := gguf.NewKV("x", []uint32{1, 2})
	for cut := range len(kv.Raw) {
		if _, ok := ParseArray(gguf.KV{Key: "x", Raw: kv.Raw[:cut]}); ok {
			t.Errorf("%d of %d bytes were taken for an array", cut, len(kv.Raw))
		}
	}
}
