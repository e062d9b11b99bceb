package gguf

import (
	"math"
	"strings"
	"testing"

	parser "github.com/gpustack/gguf-parser-go"
)

// The block and type sizes are written down twice in the world of this package, by people who do not know each other.
func TestTypesAgreeWithParser(t *testing.T) {
	t.Parallel()
	for id := Type(0); id < 64; id++ {
		tr, known := parser.GGMLType(id).Trait()
		if !id.Known() {
			continue
		}
		if !known || tr.BlockSize != id.BlockSize() || tr.TypeSize != id.TypeSize() || tr.Quantized != id.Quantized() {
			t.Errorf("%s: block %d, size %d; gguf-parser-go says %+v", id, id.BlockSize(), id.TypeSize(), tr)
		}
		if got := strings.ToUpper(parser.GGMLType(id).String()); got != id.Name() && got != "GGMLTYPE"+id.Name() {
			t.Errorf("type %d is %s; gguf-parser-go says %s", id, id, got)
		}
	}
}

func TestKnownTypes(t *testing.T) {
	t.Parallel()
	for id := Type(0); id < 64; id++ {
		removed := id == 4 || id == 5 || id >= 31 && id <= 33 || id >= 36 && id <= 38 || id > 42
		if id.Known() == removed {
			t.Errorf("type %d: known is %v", id, id.Known())
		}
	}
	if Type(99).Name() != "type 99" || Type(99).RowBytes(64) != 0 || Type(99).BlockSize() != 0 {
		t.Error("an unknown type has a size")
	}
	if Q4_K.Name() != "Q4_K" || Q4_K.RowBytes(512) != 288 || F16.RowBytes(3) != 6 {
		t.Error("row sizes")
	}
}

func TestTensorSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  Type
		dims []uint64
		size int64
		err  string
	}{
		{F32, []uint64{3}, 12, ""},
		{Q8_0, []uint64{64, 3, 2}, 2 * 34 * 6, ""},
		{Q2_K, []uint64{256, 1, 1, 5}, 84 * 5, ""},
		{F32, nil, 0, "0 dimensions"},
		{F32, []uint64{1, 1, 1, 1, 1}, 0, "5 dimensions"},
		{F32, []uint64{4, 0}, 0, "length 0"},
		{Q8_0, []uint64{33}, 0, "no multiple"},
		{4, []uint64{32}, 0, "does not know"},
		{F32, []uint64{math.MaxUint64}, 0, "overflows"},
		{F32, []uint64{1 << 32, 1 << 32}, 0, "overflows"},
		{F64, []uint64{1 << 31, 1 << 31}, 0, "overflows"},
	} {
		_, size, err := tensorSize(c.typ, c.dims)
		if c.err == "" && (err != nil || size != c.size) {
			t.Errorf("%s%v: %d, %v", c.typ, c.dims, size, err)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s%v: error %v, want %q", c.typ, c.dims, err, c.err)
		}
	}
}
