//go:build cgo

package llamatest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/internal/imatrix/imatrixtest"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
)

func TestMain(m *testing.M) {
	if code, child := quantproc.Dispatch(llamabind.Runtime{}); child {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// quantizeTo makes the job quantise; harm is called with the number of each file that is loaded besides the source, and with the file.
func quantizeTo(t *testing.T, typ string, harm func(i int, path string) error) prune.ApplyJob {
	t.Helper()
	n := 0
	j := applyJob(t, func(path string) error {
		n++
		return harm(n, path)
	})
	ft, err := llamabind.ParseFileType(typ)
	if err != nil {
		t.Fatal(err)
	}
	j.Quantize.Params = engine.QuantizeParams{Type: ft, Threads: 2, AllowRequantize: true}
	return j
}

func harmless(int, string) error { return nil }

func files(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// A quantised file that has more than the quantiser's noise is found, and is gone afterwards.
func TestQuantizedCheckRemovesWrongFiles(t *testing.T) {
	j := quantizeTo(t, "Q4_0", func(i int, path string) error {
		if i < 3 { // the file before, and the whole model
			return nil
		}
		return overwrite(path, -200<<10, 100<<10, 0x11)
	})
	_, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
	var check *write.CheckError
	if !errors.As(err, &check) || !strings.Contains(err.Error(), "quantised to Q4_0") || !strings.Contains(err.Error(), "noise") {
		t.Errorf("%v", err)
	}
	if left := files(t, j.Output); len(left) > 0 {
		t.Errorf("%v left behind", left)
	}
}

// Nothing is left of a run that was interrupted while it quantised.
func TestQuantizeCancelled(t *testing.T) {
	for _, at := range []string{"quantise", "quantise the whole model, to know the noise", "check the quantised file"} {
		j := quantizeTo(t, "Q4_0", harmless)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := prune.Apply(ctx, j, &progresstest.Listener{OnStart: func(label string) {
			if label == at {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", at, err)
		}
		if left := files(t, j.Output); len(left) > 0 {
			t.Errorf("%s: %v left behind", at, left)
		}
		cancel()
	}
}

// zeroWeights reports whether all weights of t are 0.
func zeroWeights(t *testing.T, f *gguf.File, tensor gguf.Tensor) bool {
	t.Helper()
	data, weights := make([]byte, tensor.Size), make([]float32, tensor.Elements())
	if _, err := io.ReadFull(f.Data(tensor), data); err != nil {
		t.Fatal(err)
	}
	if err := llamabind.ToFloat(uint32(tensor.Type), data, weights); err != nil {
		t.Fatal(err)
	}
	for _, w := range weights {
		if w != 0 {
			return false
		}
	}
	return true
}

// Zeros of the layout that has them stay zeros, of the smallest type, in every type; file type, name and origin follow; the importance
// matrix has an entry for each matrix of a layer, and those of zeros say nothing.
func TestQuantizeZeros(t *testing.T) {
	source, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	matrix := filepath.Join(t.TempDir(), "m.imatrix")
	if err := imatrixtest.Write(matrix, imatrixtest.Random(source, 1)); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"Q6_K", "Q2_K_S"} {
		j := quantizeTo(t, typ, harmless)
		j.Layout, j.Mask = layout.Zeros, blockmask.New(blockmask.Block{Layer: 5, Kind: blockmask.Mixer}, blockmask.Block{Layer: 7, Kind: blockmask.FFN})
		j.Quantize.IMatrix, j.Quantize.IMatrixOut = matrix, filepath.Join(t.TempDir(), "out.imatrix")
		out, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		f, err := gguf.Open(out.Write.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		carried, err := imatrix.Read(j.Quantize.IMatrixOut)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"blk.5.attn_q.weight", "blk.5.attn_output.weight", "blk.7.ffn_gate.weight", "blk.7.ffn_down.weight"} {
			tensor, _ := f.Tensor(name)
			if !zeroWeights(t, f, tensor) || tensor.Size > gguf.Q2_K.RowBytes(tensor.Dims[0])*tensor.Rows() {
				t.Errorf("%s: %s is %s, %d bytes, zero: %v", typ, name, tensor.Type.Name(), tensor.Size, zeroWeights(t, f, tensor))
			}
			if e := carried.Entries[name]; len(e.Counts) != 1 || e.Counts[0] != 0 {
				t.Errorf("%s: the entry of %s counts %v", typ, name, e.Counts)
			}
		}
		if e := carried.Entries["blk.5.ffn_up.weight"]; len(e.Counts) != 1 || e.Counts[0] == 0 {
			t.Errorf("%s: the entry of a matrix that is no zero counts %v", typ, e.Counts)
		}
		if v, _, _ := f.Uint("general.file_type"); v != uint64(j.Quantize.Params.Type.ID) {
			t.Errorf("%s: file type %d", typ, v)
		}
		if v, _, _ := f.Str("ggufprune.mask"); v != j.Mask.String() {
			t.Errorf("%s: mask %q", typ, v)
		}
		if q := out.Write.Quantized; q == nil || q.Pruned == nil || !(q.Pruned.KLD > 0) || q.Before <= out.Write.Bytes {
			t.Errorf("%s: %+v", typ, q)
		}
	}
}

// llama.cpp's quantiser would write a file that nothing reads.
func TestQuantizeAlignment(t *testing.T) {
	source, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	p := &gguf.Plan{KVs: source.KVs()}
	kv, err := gguf.NewKV("general.alignment", uint32(64))
	if err != nil {
		t.Fatal(err)
	}
	p.KVs = append(p.KVs, kv)
	for _, tensor := range source.Tensors() {
		p.Tensors = append(p.Tensors, gguf.PlanTensor{Name: tensor.Name, Type: tensor.Type, Dims: tensor.Dims, Data: gguf.Copy(source, tensor)})
	}
	w, err := gguf.WriteTemp(t.Context(), filepath.Join(t.TempDir(), "aligned.gguf"), p, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	j := quantize.Job{
		Engine: llamabind.Runtime{}, In: w.Path(), Out: filepath.Join(t.TempDir(), "out.gguf"), Options: quantizeTo(t, "Q4_0", harmless).Quantize,
	}
	if _, err := quantize.Run(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "aligned to 64 bytes") {
		t.Errorf("%v", err)
	}
	if left := files(t, j.Out); len(left) > 0 {
		t.Errorf("%v left behind", left)
	}
	// That it is so: without the refusal, what the quantiser writes is refused.
	if err := llamabind.QuantizeModel(t.Context(), j.In, j.Out, j.Options.Params, nil); err == nil {
		if f, err := gguf.Open(j.Out); err == nil {
			f.Close()
			t.Error("the quantiser handles other alignments by now: drop the refusal")
		}
	}
}

// The file's own name follows the type.
func TestQuantizedName(t *testing.T) {
	j := quantizeTo(t, "Q5_K_M", harmless)
	j.Output = ""
	path, err := filepath.Abs(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	text, err := filepath.Abs(tinyText)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	j.Spec.Path, j.Spec.Engine, j.Text.File = path, llamabind.Runtime{}, text
	out, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
	if err != nil || !strings.HasSuffix(out.Write.Path, "-Q5_K_M.gguf") {
		t.Errorf("%+v, %v", out, err)
	}
	if left := files(t, out.Write.Path); len(left) != 1 {
		t.Errorf("%v are left", left)
	}
}
