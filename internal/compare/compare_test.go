package compare

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

// without is the test's mask.
func without(t *testing.T) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse("attn:1,ffn:1,ffn:3")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pruned writes the small model without blocks, and names it.
func pruned(t *testing.T) string {
	t.Helper()
	src, err := source.Open(t.Context(), source.Spec{Engine: enginetest.Runtime{}, Path: tinyModel})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	blocks, err := src.FindBlocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := layout.Build(layout.Request{
		Source: src.File, Blocks: blocks, Removed: without(t), Provenance: layout.Provenance{Removed: without(t).Blocks(), Scores: []float64{1, 2, 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pruned.gguf")
	w, err := gguf.WriteTemp(t.Context(), path, res.Plan, gguf.WriteOptions{})
	if err == nil {
		_, err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// job compares the small model with others.
func job(e engine.Runtime, others ...string) Job {
	j := Job{
		Spec: source.Spec{Engine: e, FlashAttn: "auto"}, Models: []Contender{{Label: "original", Path: tinyModel}},
		Text: corpus.Text{Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 6}, UBatch: 128,
	}
	for _, path := range others {
		j.Models = append(j.Models, Contender{Label: filepath.Base(path), Path: path})
	}
	return j
}

func run(t *testing.T, j Job) *Comparison {
	t.Helper()
	out, err := Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A model is as far from itself as the base file's 16 bits are from a logit, a pruned one further, as far as the whole one without these
// blocks, and its perplexity is the one that the losses give.
func TestRun(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	j := job(enginetest.Runtime{}, path, tinyModel)
	j.Models = append(j.Models, Contender{Label: "masked", Path: tinyModel, Removed: without(t), File: FileFacts{Arch: "deci", Bytes: 7, Params: 5}})
	out := run(t, j)
	if len(out.Rows) != 4 || out.Windows != 6 || out.Context != 64 || out.Positions != 6*31 || out.Rows[0].KL != nil {
		t.Fatalf("%+v", out)
	}
	other, self, masked := out.Rows[1].KL, out.Rows[2].KL, out.Rows[3].KL
	if math.Abs(self.KLD.Value) > 1e-6 || self.SameTop.Value != 1 || !(other.KLD.Value > 0.01) || other.SameTop.Value == 1 {
		t.Errorf("of itself %+v, pruned %+v", self, other)
	}
	if masked.KLD != other.KLD || masked.PPL != other.PPL {
		t.Errorf("masked %+v, pruned %+v", masked, other)
	}
	if m := out.Rows[3]; m.Path != "" || m.Arch != "deci" || m.Bytes != 7 || m.Params != 5 || m.Pruned != Pruned {
		t.Errorf("the masked one's row: %+v", m)
	}
	for i, want := range []string{"", Pruned, ""} {
		if r := out.Rows[i]; r.Pruned != want || r.Type != "Q8_0" || r.Path != j.Models[i].Path {
			t.Errorf("%+v", r)
		}
	}
	for i, file := range []string{tinyModel, path} {
		if got, want := out.Rows[i].PPL.Value, ppl(t, j, file); math.Abs(got/want-1) > 1e-4 {
			t.Errorf("%s: perplexity %v, by its losses %v", file, got, want)
		}
	}
}

// ppl is the perplexity of a file on the job's text.
func ppl(t *testing.T, j Job, path string) float64 {
	t.Helper()
	src, err := source.Open(t.Context(), source.Spec{Engine: j.Spec.Engine, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c, err := j.Text.ReadEvaluation()
	if err != nil {
		t.Fatal(err)
	}
	set, err := j.Text.Set(c, src.Model)
	if err != nil {
		t.Fatal(err)
	}
	session, err := src.Session(t.Context(), 1, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	eval, err := perplexity.NewEvaluator(session, set)
	if err != nil {
		t.Fatal(err)
	}
	score, _, err := eval.Score(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return score
}

// What the reference predicts can be kept: with it, models are compared without it, and with the same result.
func TestBaseLogits(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	j := job(enginetest.Runtime{}, path)
	j.SaveBase = filepath.Join(t.TempDir(), "base.kld")
	direct := run(t, j)

	// It is there already: nothing is run for it, and it stays.
	before, err := os.ReadFile(j.SaveBase)
	if err != nil {
		t.Fatal(err)
	}
	again := j
	again.Spec.Engine = enginetest.Runtime{OnLoad: func(string) error { return errors.New("loaded in vain") }}
	if _, err := Run(t.Context(), again, new(progresstest.Listener)); !errors.Is(err, outfile.ErrExists) {
		t.Errorf("it is in the way: %v", err)
	}
	again.SaveBase, again.Force = tinyModel, true
	if _, err := Run(t.Context(), again, new(progresstest.Listener)); !errors.Is(err, outfile.ErrIsInput) {
		t.Errorf("it would be the model: %v", err)
	}

	only := job(enginetest.Runtime{OnLoad: func(p string) error {
		if p == tinyModel {
			return errors.New("the reference is loaded in vain")
		}
		return nil
	}}, path)
	only.Models, only.BaseLogits, only.Text.File = only.Models[1:], j.SaveBase, "no.txt"
	kept := run(t, only)
	if len(kept.Rows) != 2 || kept.Rows[0].Path != j.SaveBase || kept.Windows != 6 || kept.Context != 64 || kept.BaseLogits != j.SaveBase {
		t.Fatalf("%+v", kept)
	}
	if diff := cmp.Diff(direct.Rows[1].KL, kept.Rows[1].KL); diff != "" {
		t.Error(diff)
	}
	if kept.Rows[0].PPL != direct.Rows[0].PPL {
		t.Errorf("the base's perplexity is %v, the reference's %v", kept.Rows[0].PPL, direct.Rows[0].PPL)
	}
	if after, err := os.ReadFile(j.SaveBase); err != nil || string(after) != string(before) {
		t.Errorf("the base file was changed, %v", err)
	}

	for name, content := range map[string]string{"missing": "", "no base": "something else", "cut short": string(before[:len(before)-10])} {
		only.BaseLogits = filepath.Join(t.TempDir(), "b.kld")
		if content != "" {
			if err := os.WriteFile(only.BaseLogits, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Run(t.Context(), only, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An interrupted or failed comparison leaves no base file behind.
func TestNoTornBase(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	j := job(enginetest.Runtime{}, tinyModel)
	dir := t.TempDir()
	j.SaveBase = filepath.Join(dir, "base.kld")
	sink := &progresstest.Listener{OnStart: func(label string) {
		if label == "compare: original" {
			cancel()
		}
	}}
	if _, err := Run(ctx, j, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left: %v, %v", files, err)
	}
}

// odd is a model that differs in something.
type odd struct {
	engine.Model
	vocab  int
	eos    bool
	shift  engine.Token // of every token
	closed *int
}

func (m odd) Info() engine.ModelInfo {
	info := m.Model.Info()
	info.NVocab += m.vocab
	return info
}

func (m odd) AddEOS() bool { return m.eos }

func (m odd) Tokenize(text string, addSpecial, parseSpecial bool) ([]engine.Token, error) {
	out, err := m.Model.Tokenize(text, addSpecial, parseSpecial)
	for i := 1; i < len(out); i++ {
		out[i] = (out[i] + m.shift) % 64
	}
	return out, err
}

func (m odd) Close() {
	if m.closed != nil {
		*m.closed++
	}
	m.Model.Close()
}

// Models with another tokenizer than the reference cannot be compared, and say so.
func TestTokenizers(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	for name, c := range map[string]struct {
		m    odd
		want string
	}{
		"a larger vocabulary": {odd{vocab: 1}, "has a vocabulary of 65 tokens, the reference 64"},
		"other tokens":        {odd{shift: 1}, "splits the text into other tokens than the reference"},
		"EOS behind all":      {odd{eos: true}, "ends every text with EOS"},
	} {
		e := enginetest.Runtime{Wrap: func(p string, m engine.Model) engine.Model {
			if p != path {
				return m
			}
			c.m.Model = m
			return c.m
		}}
		if _, err := Run(t.Context(), job(e, path), new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), path+" "+c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := job(enginetest.Runtime{}, path)
	short.Text.File = filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short.Text.File, []byte("too little to be cut into two windows of 64 tokens"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), short, new(progresstest.Listener)); !errors.Is(err, perplexity.ErrTooShort) {
		t.Errorf("a short text: %v", err)
	}
}

// counting counts models that were loaded and closed.
func counting(loaded, closed *int, most *int) enginetest.Runtime {
	return enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model {
		*loaded++
		*most = max(*most, *loaded-*closed)
		return odd{Model: m, closed: closed}
	}}
}

// Every model is closed in the end, also after an error. Without speeds one is loaded at a time, with them the reference stays beside
// each of the others.
func TestClosed(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	for name, c := range map[string]struct {
		speed *SpeedTest
		other string
		most  int
		fails bool
	}{
		"without speeds":     {nil, path, 1, false},
		"with speeds":        {&SpeedTest{Prompt: 8, Generate: 4, Repeats: 2}, path, 2, false},
		"a file of no model": {&SpeedTest{Prompt: 8, Generate: 4, Repeats: 2}, "../../testdata/simple.jsonl", 0, true},
	} {
		loaded, closed, most := 0, 0, 0
		j := job(counting(&loaded, &closed, &most), c.other, tinyModel)
		j.Speed = c.speed
		out, err := Run(t.Context(), j, new(progresstest.Listener))
		if loaded != closed || most != c.most || (err != nil) != c.fails {
			t.Errorf("%s: %d models were loaded, %d at once, %d closed: %v", name, loaded, most, closed, err)
		}
		if c.speed == nil || c.fails {
			continue
		}
		// The test's engine takes a microsecond for each token.
		for i, r := range out.Rows {
			if r.Speed == nil || math.Abs(r.Speed.Prompt.Mean/1e6-1) > 1e-9 || r.Speed.Generate.StdDev > 1e-3 || i > 0 && r.Speed.GenerateRatio.Mean != 1 {
				t.Errorf("%s: row %d: %+v", name, i, r.Speed)
			}
		}
	}
}

// A model that does not fit beside the reference is compared without speeds.
func TestNoRoomForSpeed(t *testing.T) {
	t.Parallel()
	path, loaded := pruned(t), 0
	e := enginetest.Runtime{OnLoad: func(p string) error {
		if p == path && loaded == 0 {
			loaded++
			return &engine.Error{Code: engine.OOM, Op: "load model", Text: "full"}
		}
		return nil
	}}
	j := job(e, path)
	j.Speed = &SpeedTest{Prompt: 8, Generate: 4, Repeats: 2}
	sink := new(progresstest.Listener)
	out, err := Run(t.Context(), j, sink)
	if err != nil || out.Speed != nil || out.Rows[0].Speed != nil || out.Rows[1].Speed != nil || !(out.Rows[1].KL.KLD.Value > 0) {
		t.Errorf("%+v, %v", out, err)
	}
	if len(sink.Notes) == 0 || !strings.Contains(strings.Join(sink.Notes, "\n"), "speeds are not compared") {
		t.Errorf("notes %q", sink.Notes)
	}
}

// The rival is the largest quantisation that is no larger than the pruned file, and nothing of it stays.
func TestRival(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	j := job(enginetest.Runtime{}, path)
	j.Rival = "Q4_K_M"
	out := run(t, j)
	if out.Rival == nil || out.Rival.Type != "Q4_K_M" || len(out.Rows) != 3 || out.Rows[2].Path != "" || out.Rows[2].Bytes != out.Rival.Bytes || out.Rival.Bytes >= out.Rows[0].Bytes {
		t.Errorf("%+v, rows %+v", out.Rival, out.Rows)
	}
	// The test's quantiser changes nothing that the test's models compute.
	if !strings.HasPrefix(out.Verdict, "Quantising is the better buy here: Q4_K_M of the original is closer to it (KLD 0.0000 against ") {
		t.Errorf("%q", out.Verdict)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left: %v, %v", files, err)
	}
}
