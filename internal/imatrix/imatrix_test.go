package imatrix_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/internal/imatrix/imatrixtest"
)

// model opens a file with a fused matrix, experts and a plain one in each of two layers.
func model(t *testing.T) *gguf.File {
	t.Helper()
	m := gguftest.Model{KVs: []gguftest.KV{{Key: "general.architecture", Value: "test"}}}
	for _, layer := range []string{"blk.0.", "blk.1."} {
		for name, dims := range map[string][]uint64{
			"attn_qkv.weight": {8, 6}, "ffn_down_exps.weight": {4, 8, 3}, "ffn_up.weight": {8, 4}, "attn_norm.weight": {8},
		} {
			n := uint64(4)
			for _, d := range dims {
				n *= d
			}
			m.Tensors = append(m.Tensors, gguftest.Tensor{Name: layer + name, Dims: dims, Data: make([]byte, n)})
		}
	}
	m.Tensors = append(m.Tensors, gguftest.Tensor{Name: "token_embd.weight", Dims: []uint64{8, 4}, Data: make([]byte, 128)})
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, gguftest.Build(m), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// write puts bytes into a file.
func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.imatrix")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Both formats are read as what was written.
func TestRead(t *testing.T) {
	t.Parallel()
	f := model(t)
	want := imatrixtest.Random(f, 1)
	want.Entries["blk.1.ffn_down_exps.weight"].Counts[1] = 0 // an expert that no token took
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := imatrixtest.Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := imatrix.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	values := got.Values()["blk.1.ffn_down_exps.weight"]
	sums := want.Entries["blk.1.ffn_down_exps.weight"].Sums
	if values[3] != sums[3]/imatrixtest.Tokens || values[4] != 1 || values[7] != 1 || values[8] != sums[8]/imatrixtest.Tokens {
		t.Errorf("values %v of sums %v", values, sums)
	}

	want = imatrixtest.Random(f, 2)
	old, err := imatrix.Read(write(t, imatrixtest.Legacy(want)))
	if err != nil {
		t.Fatal(err)
	}
	if old.Chunks != want.Chunks || !slices.Equal(old.Datasets, want.Datasets) || len(old.Entries) != len(want.Entries) {
		t.Errorf("chunks %d, texts %v, %d entries", old.Chunks, old.Datasets, len(old.Entries))
	}
	for name, v := range want.Values() {
		for i, x := range old.Values()[name] {
			if math.Abs(float64(x/v[i]-1)) > 1e-6 {
				t.Errorf("%s[%d] is %v, want %v", name, i, x, v[i])
			}
		}
	}
	// Written in the new format, the old one's importances stay, bit for bit.
	dims := map[string][]uint64{}
	for _, tensor := range f.Tensors() {
		dims[tensor.Name] = tensor.Dims
	}
	p, err := old.Plan(dims)
	if err != nil {
		t.Fatal(err)
	}
	w, err := gguf.WriteTemp(t.Context(), filepath.Join(t.TempDir(), "new.gguf"), p, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	converted, err := imatrix.Read(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(old.Values(), converted.Values()); diff != "" {
		t.Error(diff)
	}
	if n := len(converted.Entries["blk.0.ffn_down_exps.weight"].Counts); n != 3 {
		t.Errorf("%d counts of 3 experts", n)
	}
}

// Files that are no importance matrices, or damaged ones, give one line that says so.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	f := model(t)
	sound := imatrixtest.Legacy(imatrixtest.Random(f, 1))
	entry := func(name string, dims []uint64, v ...float32) gguftest.Tensor {
		var b []byte
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
		return gguftest.Tensor{Name: name, Dims: dims, Data: b}
	}
	keys := []gguftest.KV{
		{Key: "imatrix.datasets", Value: []string{"x"}},
		{Key: "imatrix.chunk_count", Value: uint32(1)},
		{Key: "imatrix.chunk_size", Value: uint32(1)},
	}
	file := func(kvs []gguftest.KV, tensors ...gguftest.Tensor) []byte {
		return gguftest.Build(gguftest.Model{KVs: kvs, Tensors: tensors})
	}
	sums, counts := entry("a.weight.in_sum2", []uint64{2}, 1, 2), entry("a.weight.counts", []uint64{1}, 1)
	one := func(v float32) []byte {
		b := append(le.AppendUint32(nil, 1), 1, 0, 0, 0, 'a', 1, 0, 0, 0, 1, 0, 0, 0)
		return le.AppendUint32(b, math.Float32bits(v))
	}
	for what, c := range map[string]struct {
		file []byte
		text string
	}{
		"empty":           {nil, "not a file that llama-imatrix writes"},
		"text":            {[]byte("This is no importance matrix at all."), "not a file that llama-imatrix writes"},
		"cut short":       {sound[:len(sound)/2], "cut short"},
		"more behind it":  {append(slices.Clone(sound), 1, 2, 3), "cut short"},
		"huge count":      {[]byte{0xff, 0xff, 0xff, 0x7f}, "cut short"},
		"huge values":     {append(one(1)[:13], 0xff, 0xff, 0xff, 0x7f), "cut short"},
		"huge name":       {append(le.AppendUint32(nil, 1), 0xff, 0xff, 0xff, 0x7f), "cut short"},
		"negative length": {append(le.AppendUint32(nil, 1), 0xff, 0xff, 0xff, 0xff), "cut short"},
		"none":            {le.AppendUint32(nil, 0), "holds no importances"},
		"twice":           {append(le.AppendUint32(nil, 2), append(one(1)[4:], one(1)[4:]...)...), "two entries"},
		"nan":             {one(float32(math.NaN())), "NaN"},
		"negative":        {one(-1), "-1"},
		"infinite":        {file(keys, entry("a.in_sum2", []uint64{1}, float32(math.Inf(1))), entry("a.counts", []uint64{1}, 1)), "Inf"},
		"a model":         {gguftest.Build(gguftest.Model{Tensors: []gguftest.Tensor{entry("a.weight", []uint64{1}, 1)}}), "holds no importances"},
		"damaged":         {file(keys, sums, counts)[:60], "is damaged"},
		"no counts":       {file(keys, sums), "2 sums and 0 counts"},
		"no sums":         {file(keys, counts), `without "a.weight.in_sum2"`},
		"odd":             {file(keys, sums, entry("a.weight.counts", []uint64{3}, 1, 1, 1)), "2 sums and 3 counts"},
		"no keys":         {file(nil, sums, counts), "has no"},
		"wrong type":      {file(keys, gguftest.Tensor{Name: "a.in_sum2", Type: 1, Dims: []uint64{2}, Data: make([]byte, 4)}), "must be F32"},
	} {
		_, err := imatrix.Read(write(t, c.file))
		if err == nil || !strings.Contains(err.Error(), c.text) || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%s: %v, want %q", what, err, c.text)
		}
	}
	if _, err := imatrix.Read(write(t, one(2))); err != nil {
		t.Errorf("a sound file without a text: %v", err)
	}
	if _, err := imatrix.Read("none.gguf"); err == nil || !strings.Contains(err.Error(), "none.gguf cannot be read: no such file") {
		t.Errorf("a missing file: %v", err)
	}
}

// A matrix of another model is told by names, columns and missing layers.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := model(t)
	m := imatrixtest.Random(f, 1)
	if err := m.Check("m", f.Tensors(), 2); err != nil {
		t.Fatal(err)
	}
	m.Entries["output.weight"] = imatrix.Entry{Sums: []float32{1}, Counts: []float32{1}} // of tied embeddings
	if err := m.Check("m", f.Tensors(), 2); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		change func(map[string]imatrix.Entry)
		text   string
	}{
		"more layers": {func(e map[string]imatrix.Entry) { e["blk.2.ffn_up.weight"] = e["blk.1.ffn_up.weight"] }, `no tensor "blk.2.ffn_up.weight"`},
		"columns":     {func(e map[string]imatrix.Entry) { e["blk.1.ffn_up.weight"] = e["output.weight"] }, "1 columns of blk.1.ffn_up.weight, the model 8"},
		"experts": {func(e map[string]imatrix.Entry) {
			e["blk.1.ffn_down_exps.weight"] = imatrix.Entry{Sums: make([]float32, 8), Counts: make([]float32, 2)}
		}, "8 columns of blk.1.ffn_down_exps.weight, the model 12"},
		"fewer layers": {func(e map[string]imatrix.Entry) {
			maps.DeleteFunc(e, func(name string, _ imatrix.Entry) bool { return strings.HasPrefix(name, "blk.1.") })
		}, "nothing of layer 1"},
	} {
		other := &imatrix.Matrix{Entries: maps.Clone(m.Entries)}
		c.change(other.Entries)
		if err := other.Check("m", f.Tensors(), 2); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", what, err, c.text)
		}
	}
}

// Entries go where their matrices' rows go, and zeros get ones that say nothing.
func TestFor(t *testing.T) {
	t.Parallel()
	f := model(t)
	m := imatrixtest.Random(f, 1)
	source := func(name string) gguf.Tensor {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		return tensor
	}
	qkv, up, exps := source("blk.1.attn_qkv.weight"), source("blk.0.ffn_up.weight"), source("blk.1.ffn_down_exps.weight")
	p := &gguf.Plan{Tensors: []gguf.PlanTensor{
		{Name: "blk.0.attn_q.weight", Dims: []uint64{8, 2}, Data: gguf.Rows(f, qkv, []int64{1, 0})},
		{Name: "blk.0.attn_v.weight", Dims: []uint64{8, 2}, Data: gguf.Rows(f, qkv, []int64{4, 5})},
		{Name: "blk.1.ffn_up.weight", Dims: up.Dims, Data: gguf.Copy(f, up)},
		{Name: "blk.0.ffn_down_exps.weight", Dims: exps.Dims, Data: gguf.Copy(f, exps)},
		{Name: "blk.1.ffn_down_exps.weight", Dims: exps.Dims, Data: gguf.Zeros(exps.Size)},
		{Name: "blk.0.attn_norm.weight", Dims: []uint64{8}, Data: gguf.Zeros(32)},
		{Name: "token_embd.weight", Dims: []uint64{8, 4}, Data: gguf.Copy(f, source("token_embd.weight"))},
	}}
	got := m.For(p, nil)
	want := map[string]imatrix.Entry{
		"blk.0.attn_q.weight":        m.Entries["blk.1.attn_qkv.weight"],
		"blk.0.attn_v.weight":        m.Entries["blk.1.attn_qkv.weight"],
		"blk.1.ffn_up.weight":        m.Entries["blk.0.ffn_up.weight"],
		"blk.0.ffn_down_exps.weight": m.Entries["blk.1.ffn_down_exps.weight"],
		"blk.1.ffn_down_exps.weight": {Sums: make([]float32, 12), Counts: make([]float32, 3)},
	}
	if diff := cmp.Diff(want, got.Entries); diff != "" {
		t.Error(diff)
	}
	if v := got.Values()["blk.1.ffn_down_exps.weight"]; !slices.Equal(v, slices.Repeat([]float32{1}, 12)) {
		t.Errorf("zeros are weighed by %v", v)
	}
	if got.Chunks != m.Chunks || !slices.Equal(got.Datasets, m.Datasets) {
		t.Errorf("%+v", got)
	}
}

// Where matrices lose columns their entries do, each matrix of experts the same; the source's entries stay as they were.
func TestForOfColumns(t *testing.T) {
	t.Parallel()
	f := model(t)
	m := imatrixtest.Random(f, 1)
	up, _ := f.Tensor("blk.0.ffn_up.weight")
	exps, _ := f.Tensor("blk.1.ffn_down_exps.weight")
	p := &gguf.Plan{Tensors: []gguf.PlanTensor{
		{Name: "blk.2.ffn_up.weight", Dims: []uint64{3, up.Dims[1]}, Data: gguf.Changed(up, make([]byte, 3*4*up.Dims[1]))},
		{Name: "blk.1.ffn_down_exps.weight", Dims: []uint64{2, exps.Dims[1], exps.Dims[2]}, Data: gguf.Changed(exps, nil)},
	}}
	got := m.For(p, map[string][]int64{up.Name: {0, 5, 7}, exps.Name: {1, 3}, "blk.9.ffn_up.weight": {0}})
	have, all := m.Entries[up.Name], m.Entries[exps.Name]
	want := map[string]imatrix.Entry{
		"blk.2.ffn_up.weight":        {Sums: []float32{have.Sums[0], have.Sums[5], have.Sums[7]}, Counts: have.Counts},
		"blk.1.ffn_down_exps.weight": {Sums: []float32{all.Sums[1], all.Sums[3], all.Sums[5], all.Sums[7], all.Sums[9], all.Sums[11]}, Counts: all.Counts},
	}
	if diff := cmp.Diff(want, got.Entries); diff != "" || len(have.Sums) != 8 || len(all.Sums) != 12 {
		t.Errorf("%s; the source has %d and %d", diff, len(have.Sums), len(all.Sums))
	}
}

// A matrix of the old format is held once besides its bytes.
func TestLargeMatrixTakesTwiceItsSize(t *testing.T) {
	const n = 20 << 20
	legacy := append(binary.LittleEndian.AppendUint32(nil, 1), 1, 0, 0, 0, 'a', 1, 0, 0, 0)
	legacy = append(binary.LittleEndian.AppendUint32(legacy, n), make([]byte, 4*n)...)
	path := write(t, legacy)
	fuzztest.Bounded(t, len(legacy)+1<<16, func() {
		if m, err := imatrix.Read(path); err != nil || len(m.Entries["a"].Sums) != n {
			t.Errorf("%v", err)
		}
	})
}

// FuzzIMatrix reads any bytes: what is not refused with one line can be written and read again.
func FuzzIMatrix(f *testing.F) {
	one := append(binary.LittleEndian.AppendUint32(nil, 1), 1, 0, 0, 0, 'a', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x80, 0x3f)
	f.Add(one)
	f.Add(append(bytes.Clone(one), 1, 0, 0, 0, 1, 0, 0, 0, 't'))
	f.Add(gguftest.Build(gguftest.Model{
		KVs: []gguftest.KV{
			{Key: "imatrix.datasets", Value: []string{"x"}},
			{Key: "imatrix.chunk_count", Value: uint32(1)},
			{Key: "imatrix.chunk_size", Value: uint32(1)},
		},
		Tensors: []gguftest.Tensor{
			{Name: "a.in_sum2", Dims: []uint64{2}, Data: []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f}},
			{Name: "a.counts", Dims: []uint64{1}, Data: []byte{0, 0, 0x80, 0x3f}},
		},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *imatrix.Matrix
		var err error
		path := write(t, b)
		fuzztest.Bounded(t, len(b), func() { m, err = imatrix.Read(path) })
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		for name := range m.Entries {
			if len(name) > 50 {
				return // longer ones do not fit into a GGUF file with their suffix
			}
		}
		path = filepath.Join(t.TempDir(), "again.gguf")
		if err := imatrixtest.Write(path, m); err != nil {
			t.Fatal(err)
		}
		again, err := imatrix.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.Values(), again.Values()); diff != "" {
			t.Error(diff)
		}
	})
}
