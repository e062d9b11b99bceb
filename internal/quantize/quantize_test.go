package quantize

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/internal/imatrix/imatrixtest"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf" // quantised

// plain writes a small model in F32 of two layers, and names it.
func plain(t *testing.T, alignment uint32) string {
	t.Helper()
	m := gguftest.Model{Alignment: alignment, KVs: []gguftest.KV{
		{Key: "general.architecture", Value: "test"}, {Key: "test.block_count", Value: uint32(2)},
	}}
	if alignment != 0 {
		m.KVs = append(m.KVs, gguftest.KV{Key: "general.alignment", Value: alignment})
	}
	add := func(name string, dims ...uint64) {
		n := uint64(4)
		for _, d := range dims {
			n *= d
		}
		m.Tensors = append(m.Tensors, gguftest.Tensor{Name: name, Dims: dims, Data: make([]byte, n)})
	}
	add("token_embd.weight", 256, 8)
	for _, layer := range []string{"blk.0.", "blk.1."} {
		add(layer+"attn_v.weight", 256, 4)
		add(layer+"ffn_up.weight", 256, 8)
		add(layer+"attn_norm.weight", 256)
	}
	return gguftest.Write(t, t.TempDir(), "plain.gguf", m)
}

func job(t *testing.T, in, typ string) Job {
	t.Helper()
	var e enginetest.Runtime
	j := Job{Engine: e, In: in, Out: filepath.Join(t.TempDir(), "out.gguf")}
	if typ != "" {
		ft, err := e.ParseFileType(typ)
		if err != nil {
			t.Fatal(err)
		}
		j.Options.Params.Type = ft
	}
	return j
}

// matrix writes an importance matrix for the model at path, and names it.
func matrix(t *testing.T, path string) (string, *imatrix.Matrix) {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, to := imatrixtest.Random(f, 1), filepath.Join(t.TempDir(), "im.gguf")
	if err := imatrixtest.Write(to, m); err != nil {
		t.Fatal(err)
	}
	return to, m
}

func left(t *testing.T, j Job) []string {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(j.Out))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name())
	}
	return out
}

// The file has the types that were planned, and the outcome says which.
func TestRun(t *testing.T) {
	t.Parallel()
	in := plain(t, 0)
	j := job(t, in, "Q8_0")
	j.Options.Params.TensorTypes = []engine.TensorRule{{Pattern: "attn_v", Type: uint32(gguf.Q6_K)}}
	sink := new(progresstest.Listener)
	out, err := Run(t.Context(), j, sink)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Path != j.Out || out.Before != before.Size() || out.Bytes >= out.Before || out.SHA256 == "" || out.IMatrix != "" || out.Params != 2*(256*4+256*8+256)+256*8 {
		t.Errorf("%+v", out)
	}
	f, err := gguf.Open(j.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counted := map[string]int{}
	for _, x := range f.Tensors() {
		want := gguf.Q8_0
		switch {
		case strings.HasSuffix(x.Name, "norm.weight"):
			want = gguf.F32
		case strings.HasSuffix(x.Name, "attn_v.weight"):
			want = gguf.Q6_K
		}
		if x.Type != want {
			t.Errorf("%s is %s", x.Name, x.Type)
		}
		counted[x.Type.Name()]++
	}
	for name, n := range counted {
		if out.Tensors[name] != n {
			t.Errorf("%d tensors of %s are told, there are %d", out.Tensors[name], name, n)
		}
	}
	if got := left(t, j); !slices.Equal(got, []string{"out.gguf"}) {
		t.Errorf("left are %v", got)
	}
	if bar := sink.Parts["quantise"]; len(bar) != 7 || bar[6] != 6 {
		t.Errorf("told %v", bar)
	}
}

// What cannot be is refused before anything is written, with the next step.
func TestRefusals(t *testing.T) {
	t.Parallel()
	good, im := plain(t, 0), ""
	im, _ = matrix(t, good)
	for name, c := range map[string]struct {
		in, typ string
		change  func(j *Job)
		want    string
	}{
		"it is quantised":        {tinyModel, "Q4_0", func(*Job) {}, "is quantised already"},
		"another alignment":      {plain(t, 64), "Q8_0", func(*Job) {}, "are aligned to 64 bytes"},
		"no matrix where needed": {good, "IQ3_M", func(*Job) {}, "IQ3_M needs an importance matrix for"},
		"a rule for no tensor": {good, "Q8_0", func(j *Job) {
			j.Options.Params.TensorTypes = []engine.TensorRule{{Pattern: "ffn_up", Type: uint32(gguf.Q6_K)}, {Pattern: "atn_v", Type: uint32(gguf.Q6_K)}}
		}, `--tensor-type: "atn_v" is found in no name of a matrix of ` + good + "; the names are such as blk.0.attn_v.weight"},
		"a rule for norms only": {good, "Q8_0", func(j *Job) {
			j.Options.Params.TensorTypes = []engine.TensorRule{{Pattern: "norm", Type: uint32(gguf.Q6_K)}}
		}, `"norm" is found in no name of a matrix`},
		"a matrix that is not":    {good, "Q8_0", func(j *Job) { j.Options.IMatrix = "no.imatrix" }, "no.imatrix"},
		"a matrix of another":     {tinyModel, "Q8_0", func(j *Job) { j.Options.IMatrix = im }, "importance matrix"},
		"the matrix is no matrix": {good, "Q8_0", func(j *Job) { j.Options.IMatrix = good }, "importance matrix"},
		"output is the model":     {good, "Q8_0", func(j *Job) { j.Out, j.Force = good, true }, "choose another name"},
		"output is the matrix":    {good, "Q8_0", func(j *Job) { j.Options.IMatrix, j.Out, j.Force = im, im, true }, "choose another name"},
		"two outputs of one name": {good, "Q8_0", func(j *Job) { j.Options.IMatrix, j.Options.IMatrixOut = im, j.Out }, "give them different names"},
		"no folder":               {good, "Q8_0", func(j *Job) { j.Out = filepath.Join(j.Out, "no.gguf") }, ""},
		"no model":                {"no.gguf", "Q8_0", func(*Job) {}, "does not exist"},
	} {
		j := job(t, c.in, c.typ)
		c.change(&j)
		dir := filepath.Dir(j.Out)
		if _, err := Run(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "out.gguf")); err == nil && dir != filepath.Dir(good) {
			t.Errorf("%s: there is a file", name)
		}
	}
}

// A file in the way stays as it was, unless it may be replaced.
func TestInTheWay(t *testing.T) {
	t.Parallel()
	in := plain(t, 0)
	j := job(t, in, "Q8_0")
	if err := os.WriteFile(j.Out, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), j, new(progresstest.Listener)); !errors.Is(err, outfile.ErrExists) {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(j.Out); string(data) != "mine" || err != nil {
		t.Errorf("it holds %d bytes, %v", len(data), err)
	}
	j.Force = true
	if out, err := Run(t.Context(), j, new(progresstest.Listener)); err != nil || out.Tensors["Q8_0"] != 5 {
		t.Errorf("%+v, %v", out, err)
	}
	// The same for the importance matrix, of which the model's file must not be left alone.
	j = job(t, in, "Q8_0")
	j.Options.IMatrix, _ = matrix(t, in)
	j.Options.IMatrixOut = filepath.Join(t.TempDir(), "im.gguf")
	if err := os.WriteFile(j.Options.IMatrixOut, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), j, new(progresstest.Listener)); !errors.Is(err, outfile.ErrExists) || len(left(t, j)) != 0 {
		t.Errorf("%v; left are %v", err, left(t, j))
	}
}

// What is quantised already may be quantised again where that was asked for.
func TestRequantize(t *testing.T) {
	t.Parallel()
	j := job(t, tinyModel, "Q4_0")
	j.Options.Params.AllowRequantize = true
	out, err := Run(t.Context(), j, new(progresstest.Listener))
	if err != nil || out.Tensors["Q4_0"] == 0 || out.Tensors["Q8_0"] != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	// To the type that it has there is nothing to lose.
	if _, err := Run(t.Context(), job(t, tinyModel, "Q8_0"), new(progresstest.Listener)); err != nil {
		t.Errorf("Q8_0 of Q8_0: %v", err)
	}
}

// With a matrix the small types can be had, the file says of which, and the matrix can be written beside it.
func TestIMatrix(t *testing.T) {
	t.Parallel()
	in := plain(t, 0)
	im, m := matrix(t, in)
	j := job(t, in, "IQ3_M")
	j.Options.IMatrix, j.Options.IMatrixOut = im, filepath.Join(filepath.Dir(j.Out), "im.gguf")
	// llama-imatrix has no entry for the embedding.
	if _, err := Run(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "for token_embd.weight (") {
		t.Errorf("%v", err)
	}
	if _, err := Run(t.Context(), j, new(progresstest.Listener)); !strings.Contains(err.Error(), "the importance matrix "+im+" has no entry for") ||
		!strings.Contains(err.Error(), "--tensor-type token_embd=q4_K") {
		t.Errorf("%v", err)
	}
	j.Options.Params.TensorTypes = []engine.TensorRule{{Pattern: "token_embd", Type: uint32(gguf.F32)}}
	out, err := Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	if out.IMatrix != j.Options.IMatrixOut || !slices.Equal(left(t, j), []string{"im.gguf", "out.gguf"}) {
		t.Errorf("%+v; left are %v", out, left(t, j))
	}
	written, err := imatrix.Read(out.IMatrix)
	if err != nil || len(written.Entries) != len(m.Entries) {
		t.Errorf("%+v, %v", written, err)
	}
	f, err := gguf.Open(j.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, _, err := f.Uint("quantize.imatrix.entries_count"); n != 4 || err != nil || source.Text(f, "quantize.imatrix.file") != "im.gguf" ||
		source.Text(f, "quantize.imatrix.dataset") != m.Datasets[0] {
		t.Errorf("%d entries of %q, %v", n, source.Text(f, "quantize.imatrix.file"), err)
	}
}

// A request that says nothing is none, and one of a matrix alone reads it and quantises nothing.
func TestPrepare(t *testing.T) {
	t.Parallel()
	in := plain(t, 0)
	f, err := gguf.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if z, err := (Options{}).Prepare(t.Context(), enginetest.Runtime{}, f, 2); z != nil || z.Quantizes() || err != nil {
		t.Errorf("%+v, %v", z, err)
	}
	path, m := matrix(t, in)
	z, err := Options{IMatrix: path}.Prepare(t.Context(), enginetest.Runtime{}, f, 2)
	if err != nil || z.Quantizes() || len(z.Matrix().Entries) != len(m.Entries) {
		t.Errorf("%+v, %v", z, err)
	}
}

// liar is a quantiser that writes other types than it plans, and fails as it is told.
type liar struct {
	enginetest.Runtime
	planned map[string]uint32
	err     error
}

func (q liar) QuantizePlan(ctx context.Context, in string, p engine.QuantizeParams) ([]engine.QuantizedTensor, error) {
	out, err := q.Runtime.QuantizePlan(ctx, in, p)
	for i := range out {
		if typ, ok := q.planned[out[i].Name]; ok {
			out[i].Type = typ
		}
	}
	return out, errors.Join(err, q.err)
}

// A file that holds something else than was planned is not there afterwards.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	j := job(t, plain(t, 0), "Q8_0")
	j.Engine = liar{planned: map[string]uint32{"blk.1.ffn_up.weight": uint32(gguf.Q4_0)}}
	_, err := Run(t.Context(), j, new(progresstest.Listener))
	if err == nil || !strings.Contains(err.Error(), "made Q8_0 of blk.1.ffn_up.weight where it had chosen Q4_0") || len(left(t, j)) != 0 {
		t.Errorf("%v; left are %v", err, left(t, j))
	}
}

// The quantiser's errors get the next step.
func TestExplain(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		code engine.Code
		want string
	}{
		"bad pattern":                 {engine.BadInput, "--tensor-type: bad pattern; give one such as"},
		"basic_ios::clear: iostream":  {engine.LoadFailed, "is the disk full?"},
		"no such mixture":             {engine.LoadFailed, "cannot quantise this to Q8_0: no such mixture; give another type"},
		"tensor 'x' has invalid data": {engine.LoadFailed, "the model is damaged, llama.cpp finds values that are no numbers (NaN or infinity): tensor 'x'"},
		"it gave up":                  {engine.Internal, "it gave up"},
	} {
		j := job(t, plain(t, 0), "Q8_0")
		j.Engine = liar{err: &engine.Error{Code: c.code, Op: "quantize", Text: text}}
		if _, err := Run(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), c.want) || len(left(t, j)) != 0 {
			t.Errorf("%v; left are %v", err, left(t, j))
		}
	}
}

// Layers that predict further tokens are no layers of the model here.
func TestLayers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, mtp, want uint32 }{{4, 0, 4}, {4, 1, 3}, {1, 2, 0}} {
		path := gguftest.Write(t, t.TempDir(), "m.gguf", gguftest.Model{KVs: []gguftest.KV{
			{Key: "general.architecture", Value: "test"}, {Key: "test.block_count", Value: c.n}, {Key: "test.nextn_predict_layers", Value: c.mtp},
		}})
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := layers(f); got != int(c.want) {
			t.Errorf("%d layers, %d of them further: %d", c.n, c.mtp, got)
		}
	}
}
