package tensors

import (
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// Rows of a part are counted from the part's beginning.
func TestPartFrom(t *testing.T) {
	t.Parallel()
	if got := (Part{Rows: 3}).from(5); !slices.Equal(got, []int64{5, 6, 7}) {
		t.Errorf("rows %v without an order", got)
	}
	backwards := Part{Rows: 3, Order: func(r int) int { return 2 - r }}
	if got := backwards.from(5); !slices.Equal(got, []int64{7, 6, 5}) {
		t.Errorf("rows %v backwards", got)
	}
}

func TestHalfToFloat32(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		sign, exp, frac := h>>15, h>>10&0x1f, h&0x3ff
		want := math.Ldexp(1+float64(frac)/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(float64(frac)/1024, -14)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if sign == 1 {
			want = -want
		}
		got := float64(halfToFloat32(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%#04x is %g, want %g", h, got, want)
		}
	}
}

func TestToFloat32(t *testing.T) {
	t.Parallel()
	for typ, raw := range map[gguf.Type][]byte{
		gguf.F32: {0, 0, 0x20, 0xc0}, gguf.F16: {0, 0xc1}, gguf.BF16: {0x20, 0xc0},
	} {
		v, err := toFloat32(raw, typ)
		if err != nil || !slices.Equal(v, []float32{-2.5}) {
			t.Errorf("%s: %v, %v; want -2.5", typ, v, err)
		}
	}
	if _, err := toFloat32(make([]byte, 34), gguf.Q8_0); err == nil {
		t.Error("Q8_0 was decoded as plain numbers")
	}
}

// source opens a file of one matrix of 2 x 4 and one vector of 4, whose numbers count up from 0.
func source(t *testing.T) Source {
	t.Helper()
	tensor := func(name string, dims ...uint64) gguftest.Tensor {
		out := gguftest.Tensor{Name: name, Type: uint32(gguf.F32), Dims: dims}
		n := uint64(1)
		for _, d := range dims {
			n *= d
		}
		for i := range n {
			out.Data = binary.LittleEndian.AppendUint32(out.Data, math.Float32bits(float32(i)))
		}
		return out
	}
	f, err := gguf.Open(gguftest.Write(t, t.TempDir(), "source.gguf", gguftest.Model{
		KVs:     gguftest.KVs("general.architecture", "llama"),
		Tensors: []gguftest.Tensor{tensor("matrix", 2, 4), tensor("vector", 4)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Source{File: f}
}

// TestSplit: the parts of a tensor have all its rows, in their order, and a part that is all of it as it stands is a copy.
func TestSplit(t *testing.T) {
	t.Parallel()
	s := source(t)
	backwards := func(r int) int { return 2 - r }
	for _, name := range []string{"matrix", "vector"} {
		tensor, _ := s.File.Tensor(name)
		parts, err := s.Split(tensor, []Part{{Name: "a", Rows: 3, Order: backwards}, {Name: "b", Rows: 1}})
		if err != nil || len(parts) != 2 {
			t.Fatalf("%s: %v, %v", name, parts, err)
		}
		for i, rows := range []uint64{3, 1} {
			if p := parts[i]; p.Dims[len(p.Dims)-1] != rows || p.Data.Size() != int64(rows)*tensor.Size/4 {
				t.Errorf("%s: part %s has dimensions %v, %d bytes", name, p.Name, p.Dims, p.Data.Size())
			}
		}
		whole, err := s.Split(tensor, []Part{{Name: "c", Rows: 4}})
		if err != nil {
			t.Fatal(err)
		}
		if from, ok := gguf.SourceOf(whole[0].Data); !ok || from.Name != name {
			t.Errorf("%s: all of it is no copy", name)
		}
		for _, rows := range []int{3, 5} {
			if _, err := s.Split(tensor, []Part{{Name: "d", Rows: rows}}); err == nil || !strings.Contains(err.Error(), "has 4 rows") {
				t.Errorf("%s in a part of %d rows: %v", name, rows, err)
			}
		}
	}
}

// TestChanged: changed contents take the place of the file's, in their type, and must have its size.
func TestChanged(t *testing.T) {
	t.Parallel()
	s := source(t)
	tensor, _ := s.File.Tensor("matrix")
	s.Changed, s.Types = map[string][]byte{"matrix": make([]byte, 16)}, map[string]gguf.Type{"matrix": gguf.F16}
	if p := s.Copy(tensor, "x"); p.Type != gguf.F16 || p.Data.Size() != 16 || !s.Fits("matrix") {
		t.Errorf("%s of %d bytes; it fits: %v", p.Type, p.Data.Size(), s.Fits("matrix"))
	}
	s.Types = nil
	if s.Fits("matrix") || s.Fits("vector") || s.Fits("none") {
		t.Error("contents of another size fit")
	}
}

// TestCut: a cut tensor is what its rows or columns are, whatever is done with it then.
func TestCut(t *testing.T) {
	t.Parallel()
	s := source(t)
	matrix, _ := s.File.Tensor("matrix")
	vector, _ := s.File.Tensor("vector")
	s.Cuts = map[string]Cut{"matrix": {Rows: []int64{0, 3}}, "vector": {Rows: []int64{1, 2, 3}}}
	backwards := func(r int) int { return 1 - r }
	parts, err := s.Split(matrix, []Part{{Name: "a", Rows: 2, Order: backwards}})
	if err != nil {
		t.Fatal(err)
	}
	more, err := s.Split(vector, []Part{{Name: "b", Rows: 1}, {Name: "c", Rows: 2}})
	if err != nil {
		t.Fatal(err)
	}
	scaled, err := s.Scaled(vector, "d", 10)
	if err != nil {
		t.Fatal(err)
	}
	s.Cuts["matrix"] = Cut{Columns: []int64{1}}
	columns, err := s.Scaled(matrix, "f", 10)
	if err != nil {
		t.Fatal(err)
	}
	plan := append(append(parts, more...), scaled, s.Copy(matrix, "e"), columns)
	for i, want := range [][]float32{{6, 7, 0, 1}, {1}, {2, 3}, {10, 20, 30}, {1, 3, 5, 7}, {10, 30, 50, 70}} {
		if got := contents(t, plan[i]); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", plan[i].Name, got, want)
		}
	}
	if d := plan[4].Dims; !slices.Equal(d, []uint64{1, 4}) {
		t.Errorf("a matrix of one column has dimensions %v", d)
	}
	s.Changed = map[string][]byte{"matrix": make([]byte, 16)}
	if !s.Fits("matrix") || s.Copy(matrix, "x").Data.Size() != 16 {
		t.Error("contents of the new width do not fit")
	}
	s.Changed["matrix"] = make([]byte, 32)
	if s.Fits("matrix") {
		t.Error("contents of the old width fit")
	}
	if _, err := s.Split(vector, []Part{{Name: "c", Rows: 4}}); err == nil || !strings.Contains(err.Error(), "has 3 rows") {
		t.Errorf("more rows than the cut leaves: %v", err)
	}
}

// contents writes a file of one tensor and reads its numbers.
func contents(t *testing.T, p gguf.PlanTensor) []float32 {
	t.Helper()
	kv, err := gguf.NewKV("general.architecture", "llama")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.gguf")
	temp, err := gguf.WriteTemp(context.Background(), path, &gguf.Plan{KVs: []gguf.KV{kv}, Tensors: []gguf.PlanTensor{p}}, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := temp.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := Source{File: f}.read(f.Tensors()[0])
	if err != nil {
		t.Fatal(err)
	}
	out, err := toFloat32(raw, p.Type)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
