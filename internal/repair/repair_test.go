package repair

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

var errBroken = errors.New("the engine broke")

// able is a model whose sessions say that they can repair, and break when they are to run.
type able struct {
	engine.Model
	breaks func() // is called then; nil is nothing
}

func (m able) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	return ableSession{s, m.breaks}, err
}

type ableSession struct {
	engine.Session
	breaks func()
}

var _ engine.BlockRunner = ableSession{}

func (s ableSession) Segment(context.Context, []engine.Sequence, engine.Mask, int, int, []float32, ...*engine.Tap) ([]float32, error) {
	if s.breaks != nil {
		s.breaks()
	}
	return nil, errBroken
}

func (ableSession) EvalFrom(context.Context, []engine.Sequence, engine.Mask, int, []float32) ([][]float64, error) {
	return nil, errBroken
}

func (ableSession) Product(context.Context, string, int, []float32, []float32, []float64) error {
	return errBroken
}

func (ableSession) SetWeight(string, []byte) error { return errBroken }

// ready is a runtime of such models.
func ready(breaks func()) enginetest.Runtime {
	return enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model { return able{m, breaks} }}
}

// unmapped is a runtime that cannot load a model without mapping it.
type unmapped struct{ enginetest.Runtime }

func (e unmapped) Load(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error) {
	if p.NoMmap {
		return nil, &engine.Error{Code: engine.OOM, Op: "load model", Text: "full"}
	}
	return e.Runtime.Load(ctx, path, p)
}

// request asks for a repair of the small model without some blocks, for a file in a folder of its own.
func request(t *testing.T, removed string) Request {
	t.Helper()
	mask, err := blockmask.Parse(removed)
	if err != nil {
		t.Fatal(err)
	}
	return Request{
		Removed: mask, Options: Options{Method: fit.Auto, Tokens: 512}, Output: filepath.Join(t.TempDir(), "out.gguf"), Tool: "test",
		Text: corpus.Text{Convention: perplexity.Samples, Context: 64, Batch: 128},
	}
}

// run repairs the small model, and returns it as it is then.
func run(ctx context.Context, t *testing.T, e engine.Runtime, q Request) (*Done, *source.Source, *progresstest.Listener, error) {
	t.Helper()
	src, err := source.Open(t.Context(), source.Spec{Engine: e, Path: tinyModel, FlashAttn: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(src.Close)
	if q.Blocks, err = src.FindBlocks(t.Context()); err != nil {
		t.Fatal(err)
	}
	sink := new(progresstest.Listener)
	done, err := Run(ctx, src, q, sink)
	return done, src, sink, err
}

func leftBeside(t *testing.T, output string) []string {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(output))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name())
	}
	return out
}

// What cannot be repaired is written without where nobody asked for a repair, with a warning; else it is an error. Either way nothing of
// the attempt is left.
func TestUsual(t *testing.T) {
	t.Parallel()
	short := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short, []byte("too short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		e     engine.Runtime
		files []string
		want  string // of the error
		note  string // of the warning
	}{
		"the engine cannot":              {enginetest.Runtime{}, nil, "this engine cannot repair", "the model is not repaired: %v"},
		"the engine breaks":              {ready(nil), nil, errBroken.Error(), "the model is not repaired: %v"},
		"there is too little text":       {ready(nil), []string{short}, "is too short for a repair", "the model is not repaired: %v"},
		"the text is not there":          {ready(nil), []string{"no.txt"}, "no.txt", "the model is not repaired: %v"},
		"it does not load without a map": {unmapped{}, nil, "full", "cannot be loaded without mapping it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := request(t, "ffn:3")
			q.Options.Files = c.files
			if done, _, _, err := run(t.Context(), t, c.e, q); err == nil || done != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("asked for: %+v, %v", done, err)
			}
			if left := leftBeside(t, q.Output); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
			q.Options.Usual = true
			done, src, sink, err := run(t.Context(), t, c.e, q)
			if err != nil || done.Result != nil || done.Record != nil || len(done.Raised) != 0 {
				t.Fatalf("usual: %+v, %v", done, err)
			}
			if notes := strings.Join(sink.Notes, "\n"); !strings.Contains(notes, c.note) || !strings.Contains(notes, "--repair off does without") {
				t.Errorf("usual: notes %q", sink.Notes)
			}
			if src.Model == nil || src.Weights() != nil {
				t.Errorf("usual: model %v with weights %v", src.Model, src.Weights())
			}
			if err := done.Close(); err != nil || len(leftBeside(t, q.Output)) != 0 {
				t.Errorf("usual: left %v, %v", leftBeside(t, q.Output), err)
			}
		})
	}
}

// A repair that is interrupted is so also where it is the usual.
func TestCancelled(t *testing.T) {
	t.Parallel()
	q := request(t, "ffn:3")
	q.Options.Usual = true
	for name, during := range map[string]bool{"before it begins": false, "while it runs": true} {
		ctx, cancel := context.WithCancel(t.Context())
		if !during {
			cancel()
		}
		if done, _, _, err := run(ctx, t, ready(cancel), q); err == nil || done != nil {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
}

// Where a repair could not be kept there is no going on without: the user would wait for hours and have nothing to resume.
func TestLogInTheWay(t *testing.T) {
	t.Parallel()
	q := request(t, "ffn:3")
	q.Options.Usual = true
	path, _ := repairlog.Paths(q.Output)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if done, _, _, err := run(t.Context(), t, ready(nil), q); err == nil || done != nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("%+v, %v", done, err)
	}
}

// Nothing is loaded anew where there is to be no repair; where there is nothing to repair, it is told, and nothing changed.
func TestNothingToRepair(t *testing.T) {
	t.Parallel()
	for _, method := range []fit.Method{"", fit.Off} {
		q := request(t, "ffn:3")
		q.Options.Method = method
		done, src, sink, err := run(t.Context(), t, unmapped{}, q)
		if err != nil || done.Result != nil || src.Spec.Model.NoMmap || len(sink.Notes) != 0 {
			t.Errorf("%q: %+v, notes %q, %v", method, done, sink.Notes, err)
		}
	}
	q := request(t, "attn:0") // the first block of all
	q.Removed = nil
	done, src, sink, err := run(t.Context(), t, ready(nil), q)
	if err != nil || done.Result != nil || done.Record != nil || src.Weights() != nil || len(leftBeside(t, q.Output)) != 0 {
		t.Errorf("%+v, left %v, %v", done, leftBeside(t, q.Output), err)
	}
	if len(sink.Notes) != 1 || !strings.HasPrefix(sink.Notes[0], "repair: ") {
		t.Errorf("notes %q", sink.Notes)
	}
}

// What a repair goes through begins with the block before the gap.
func TestBehindGap(t *testing.T) {
	t.Parallel()
	src, err := source.Open(t.Context(), source.Spec{Engine: enginetest.Runtime{}, Path: tinyModel})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	blocks, err := src.FindBlocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for removed, want := range map[string]struct {
		n     int
		first string
	}{
		"": {0, ""}, "attn:0": {len(blocks) - 1, "ffn:0"}, "ffn:0": {len(blocks) - 1, "attn:0"}, "attn:2,ffn:3": {len(blocks) - 5, "ffn:1"},
		`{"text":"ffn:1=2,attn:3","kept":[{"block":"ffn:1","channels":"0-1"}]}`: {len(blocks) - 4, "ffn:1"},
		`{"text":"attn:2,ffn:3=2","kept":[{"block":"ffn:3","channels":"5,7"}]}`: {len(blocks) - 4, "ffn:1"},
	} {
		mask, err := blockmask.ParseKey(removed)
		if err != nil {
			t.Fatal(err)
		}
		got := Request{Blocks: blocks, Removed: mask}.todo()
		if len(got) != want.n || len(got) > 0 && got[0].Block.String() != want.first {
			t.Errorf("without %q: %d blocks from %v on", removed, len(got), got)
		}
		for _, b := range got {
			if mask.Has(b.Block) {
				t.Errorf("without %q: %s is repaired", removed, b.Block)
			}
		}
		// The size of a file is planned with as many tensors.
		record := Expected(src, Options{Method: fit.Auto, Tokens: 512}, corpus.Text{}, blocks, mask)
		if len(record.Tensors) != want.n || len(record.Lambdas) != want.n || Expected(src, Options{}, corpus.Text{}, blocks, mask) != nil {
			t.Errorf("without %q: %+v", removed, record)
		}
	}
}

// A type is above that of some output projection, or refused.
func TestCheckType(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s, want := range map[string]string{"f16": "", "F32": "", "q8_0": "--repair-type Q8_0 is not above the type of any output projection (Q8_0)", "q4_k": "is not above"} {
		typ, err := ParseType(s)
		if err != nil {
			t.Fatal(err)
		}
		err = Options{Method: fit.Auto, Type: &typ}.CheckType(f)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", s, err)
		}
		if err := (Options{Type: &typ}).CheckType(f); err != nil {
			t.Errorf("%s without a repair: %v", s, err)
		}
	}
	if _, err := ParseType("q9"); err == nil || !strings.Contains(err.Error(), "give one of F32, F16") {
		t.Errorf("q9: %v", err)
	}
}

// One kind of text alone makes a model worse on others: the program's goes with the user's, unless texts are named.
func TestTexts(t *testing.T) {
	t.Parallel()
	const simple = "../../testdata/simple.jsonl"
	for name, c := range map[string]struct {
		file  string
		files []string
		want  string
	}{
		"none":  {"", nil, corpus.BuiltIn},
		"own":   {simple, nil, "simple.jsonl and " + corpus.BuiltIn},
		"named": {"no.txt", []string{simple, simple}, "simple.jsonl and simple.jsonl"},
	} {
		got, err := Options{Files: c.files}.Texts(corpus.Text{File: c.file})
		if err != nil {
			t.Fatal(err)
		}
		if s := DescribeTexts(got, 7); s != c.want+": 7 tokens" {
			t.Errorf("%s: %s", name, s)
		}
	}
}
