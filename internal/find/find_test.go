package find

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/interrupt"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
	"github.com/ggufprune/ggufprune/search/strategy"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

// watched is a model that counts what its sessions measure of candidates, and has something done at one of these measurements.
type watched struct {
	engine.Model
	measured *int
	at       int
	do       func() error
	base     func() error // done before the model that candidates have in common is measured; nil is nothing
	worse    bool         // whatever is removed, losses double
}

type watchedSession struct {
	engine.Session
	of watched
}

func (m watched) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	return watchedSession{s, m}, err
}

func (s watchedSession) Eval(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, yield engine.Yield) error {
	return s.Session.Eval(ctx, batch, removed, candidates, func(i int, nll [][]float64) error {
		if i < 0 {
			if s.of.base != nil {
				if err := s.of.base(); err != nil {
					return err
				}
			}
			return yield(i, nll)
		}
		for _, row := range nll {
			for p := range row {
				if s.of.worse {
					row[p] *= 2
				}
			}
		}
		if *s.of.measured++; *s.of.measured == s.of.at {
			if err := s.of.do(); err != nil {
				return err
			}
		}
		return yield(i, nll)
	})
}

// job asks for two blocks by the paper's search, on two batches of text.
func job(plan string) Job {
	return Job{
		Options: Options{Unit: blockmask.Mix, Goal: search.Goal{Blocks: 2}, Method: Method{Strategy: "greedy"}},
		Text:    corpus.Text{File: "../../testdata/simple.jsonl", Convention: perplexity.Samples, Context: 64, Batch: 128, Max: 4},
		Layout:  layout.Auto, Plan: plan, Tool: "test",
	}
}

// run searches the small model on w. It returns how many candidates were measured on a batch.
func run(ctx context.Context, t *testing.T, j Job, w watched) (*Result, int, *progresstest.Listener, error) {
	t.Helper()
	w.measured = new(int)
	e := enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model {
		w.Model = m
		return w
	}}
	src, err := source.Open(t.Context(), source.Spec{Engine: e, Path: tinyModel, FlashAttn: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c, err := j.Calibration.Read(j.Text)
	if err != nil {
		t.Fatal(err)
	}
	sink := new(progresstest.Listener)
	out, err := Run(ctx, src, j, c, sink)
	return out, *w.measured, sink, err
}

// same compares plans but for the speeds, which are this machine's.
func same(t *testing.T, what string, want, got *plan.Plan) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(search.Step{}, "Speedup"), cmpopts.EquateComparable(blockmask.Block{})); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A search that ends before it is done goes on from its journal: it ends with the plan of one that was not interrupted, and runs nothing
// twice that was run to its end. The plan so far is saved once there is a step of it.
func TestResume(t *testing.T) {
	t.Parallel()
	whole, all, _, err := run(t.Context(), t, job(filepath.Join(t.TempDir(), "plan.json")), watched{})
	if err != nil || len(whole.Plan.Steps) != 2 || all != 2*(24+23) {
		t.Fatalf("%+v in %d measurements, %v", whole, all, err)
	}
	const first = 2 * 24 // measurements of the first step
	broken := errors.New("the engine broke")
	for name, c := range map[string]struct {
		at, steps, kept int
		end             func(flag *interrupt.Flag, cancel func()) error
		want            error
	}{
		"asked to end in the first step":  {7, 0, 7, soft, context.Canceled},
		"asked to end in the second step": {first + 30, 1, first + 30, soft, context.Canceled},
		"cancelled in the second step":    {first + 3, 1, first + 3, hard, context.Canceled},
		"broken in the second step":       {first + 3, 1, first + 2, func(*interrupt.Flag, func()) error { return broken }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := job(filepath.Join(t.TempDir(), "plan.json"))
			flag := new(interrupt.Flag)
			ctx, cancel := context.WithCancel(interrupt.With(t.Context(), flag))
			defer cancel()
			out, n, sink, err := run(ctx, t, j, watched{at: c.at, do: func() error { return c.end(flag, cancel) }})
			if !errors.Is(err, c.want) || out != nil || n != c.at || !there(JournalPath(j.Plan)) {
				t.Fatalf("%+v after %d measurements, %v", out, n, err)
			}
			if there(j.Plan) != (c.steps > 0) || strings.Contains(strings.Join(sink.Notes, "\n"), "the plan so far") != (c.steps > 0) {
				t.Errorf("plan there: %v; notes %q", there(j.Plan), sink.Notes)
			}
			if c.steps > 0 {
				p, err := planfile.Read(j.Plan)
				if err != nil || len(p.Steps) != c.steps || !p.Steps[0].Removed.Equal(whole.Plan.Steps[0].Removed) {
					t.Errorf("the plan so far: %+v, %v", p, err)
				}
			}
			resumed, again, sink, err := run(t.Context(), t, j, watched{})
			if err != nil {
				t.Fatal(err)
			}
			same(t, "resumed", whole.Plan, resumed.Plan)
			if again != all-c.kept {
				t.Errorf("%d measurements of %d are kept, and it made %d", c.kept, all, again)
			}
			if !strings.Contains(strings.Join(sink.Notes, "\n"), "resumed from") || there(JournalPath(j.Plan)) {
				t.Errorf("notes %q; the journal is left: %v", sink.Notes, there(JournalPath(j.Plan)))
			}
			saved, err := planfile.Read(j.Plan)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "saved", whole.Plan, saved)
		})
	}
}

// soft asks the search to end after what it is at; it must be one that looks.
func soft(flag *interrupt.Flag, _ func()) error {
	if !flag.Request() {
		return errors.New("the search does not look at requests")
	}
	return nil
}

func hard(_ *interrupt.Flag, cancel func()) error {
	cancel()
	return nil
}

// A journal of another search is not taken, and stays.
func TestForeignJournal(t *testing.T) {
	t.Parallel()
	j := job(filepath.Join(t.TempDir(), "plan.json"))
	if _, _, _, err := run(t.Context(), t, j, watched{at: 2, do: func() error { return context.Canceled }}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before, err := os.ReadFile(JournalPath(j.Plan))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(j *Job){
		"a setting": func(j *Job) { j.Goal.Blocks = 3 }, "the calibration text": func(j *Job) { j.Text.Max = 3 }, "the version of this program": func(j *Job) { j.Tool = "other" },
	} {
		other := j
		change(&other)
		_, n, _, err := run(t.Context(), t, other, watched{})
		var foreign *journal.ForeignError
		if !errors.As(err, &foreign) || n != 0 {
			t.Errorf("%s differs: %v after %d measurements", what, err, n)
		}
	}
	if after, err := os.ReadFile(JournalPath(j.Plan)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the journal was changed, %v", err)
	}
}

// A goal that cannot be is told, and leaves neither a plan nor a journal; found out late or early.
func TestGoalErrors(t *testing.T) {
	t.Parallel()
	for name, goal := range map[string]search.Goal{
		"too many blocks": {Blocks: 1000}, "too small": {Size: 1}, "a bound that nothing holds": {MaxPPLRatio: 1.01},
	} {
		j := job(filepath.Join(t.TempDir(), "plan.json"))
		j.Goal = goal
		_, n, _, err := run(t.Context(), t, j, watched{worse: true})
		var refused *search.GoalError
		if !errors.As(err, &refused) || there(j.Plan) || there(JournalPath(j.Plan)) {
			t.Errorf("%s: %v; plan there %v, journal there %v", name, err, there(j.Plan), there(JournalPath(j.Plan)))
		}
		if (n > 0) != (goal.MaxPPLRatio > 0) {
			t.Errorf("%s: %d measurements", name, n)
		}
	}
}

// What the engine, the layout or the source cannot do is told, and no journal is left where nothing was measured.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(j *Job){
		"this engine cannot repair": func(j *Job) { j.Method.Strategy = "aware" },
		"native":                    func(j *Job) { j.Layout, j.Unit = layout.Native, blockmask.Attn },
	} {
		j := job(filepath.Join(t.TempDir(), "plan.json"))
		change(&j)
		if _, n, _, err := run(t.Context(), t, j, watched{}); err == nil || !strings.Contains(err.Error(), what) || n != 0 || there(JournalPath(j.Plan)) {
			t.Errorf("%s: %v after %d measurements; journal there %v", what, err, n, there(JournalPath(j.Plan)))
		}
	}
}

// A search that fails before anything is measured leaves no journal, so that one with other settings can take the plan's name. What was
// measured before, by this run or by an earlier one, stays.
func TestFailedAtOnce(t *testing.T) {
	t.Parallel()
	memory := errors.New("out of memory")
	breaks := func() error { return memory }
	for name, c := range map[string]struct {
		strategy string
		failing  watched
		want     string
		earlier  bool   // a run was interrupted before, after some measurements
		note     string // a run was interrupted before it measured anything, and has kept this
		kept     bool
	}{
		"bi":                    {strategy: "bi", want: "this engine cannot measure Block Influence"},
		"first measurement":     {failing: watched{base: breaks}, want: memory.Error()},
		"second measurement":    {failing: watched{at: 1, do: breaks}, want: memory.Error(), kept: true},
		"resumed":               {failing: watched{at: 1, do: breaks}, want: memory.Error(), earlier: true, kept: true},
		"with a note":           {failing: watched{base: breaks}, want: memory.Error(), note: "schedule"},
		"with steps of aware's": {failing: watched{base: breaks}, want: memory.Error(), note: strategy.AwareNotes + "x", kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := job(filepath.Join(t.TempDir(), "plan.json"))
			j.Method.Strategy = stdcmp.Or(c.strategy, j.Method.Strategy)
			cancelled := func() error { return context.Canceled }
			if c.earlier {
				interrupted(t, j, watched{at: 2, do: cancelled})
			}
			if c.note != "" {
				interrupted(t, j, watched{base: cancelled})
				addNote(t, JournalPath(j.Plan), c.note)
			}
			_, _, _, err := run(t.Context(), t, j, c.failing)
			if err == nil || !strings.Contains(err.Error(), c.want) || there(j.Plan) || there(JournalPath(j.Plan)) != c.kept {
				t.Fatalf("%v; plan there %v, journal there %v", err, there(j.Plan), there(JournalPath(j.Plan)))
			}
			j.Method.Strategy, j.Goal.Blocks = "greedy", 1
			_, _, _, err = run(t.Context(), t, j, watched{})
			var foreign *journal.ForeignError
			if errors.As(err, &foreign) != c.kept || !c.kept && err != nil {
				t.Errorf("another search under that name: %v", err)
			}
		})
	}
}

// interrupted runs a search that ends as by Ctrl-C.
func interrupted(t *testing.T, j Job, w watched) {
	t.Helper()
	if _, _, _, err := run(t.Context(), t, j, w); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// addNote adds a note to a search's journal.
func addNote(t *testing.T, path, name string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		Header journal.Header `json:"r"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&first); err != nil {
		t.Fatal(err)
	}
	kept, err := journal.Open[search.Measurement](path, first.Header, journal.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kept.SetNote(name, 1), kept.Close()); err != nil {
		t.Fatal(err)
	}
}

// A plan says what it was made from, and without a name for it nothing is written.
func TestPlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := job(filepath.Join(dir, "plan.json"))
	j.Calibration.HeldOut = 0.25
	out, _, _, err := run(t.Context(), t, j, watched{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash, err := f.SHA256(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := out.Plan
	if p.Model.SHA256 != hash || p.Model.Params != f.Params() || p.Model.Blocks.Len() != len(out.Blocks) || p.Tool != "test" || p.LlamaCpp != "LLAMA" || p.Metric != "ppl" ||
		p.Calibration.Sequences != 4 || p.HeldOut == nil || !out.Removed.Equal(p.Mask(2)) {
		t.Errorf("%+v", p)
	}
	saved, err := planfile.Read(j.Plan)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "saved", p, saved)

	j = job("")
	none, _, _, err := run(t.Context(), t, j, watched{})
	if err != nil || !none.Removed.Equal(out.Removed) {
		t.Errorf("%+v, %v", none, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}

	// Of a step that removes two blocks, both have its score in the file.
	two := &plan.Plan{Steps: []search.Step{{Removed: blockmask.New(blockmask.Block{Layer: 1}, blockmask.Block{Layer: 1, Kind: blockmask.FFN}), Score: 3}, {Removed: blockmask.New(blockmask.Block{Layer: 2}), Score: 4}}}
	if diff := cmp.Diff([]float64{3, 3, 4}, Provenance(two, 2, "").Scores); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{3, 3}, Provenance(two, 1, "").Scores); diff != "" {
		t.Error(diff)
	}
}

// A block's norm is the root mean square of its weights, of which those that are no tensors do not count.
func TestWeightNorm(t *testing.T) {
	t.Parallel()
	var e enginetest.Runtime
	data := func(x ...float32) []byte {
		out, err := e.FromFloat(uint32(gguf.F32), x, len(x), nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	path := gguftest.Write(t, t.TempDir(), "m.gguf", gguftest.Model{
		KVs: []gguftest.KV{{Key: "general.architecture", Value: "test"}},
		Tensors: []gguftest.Tensor{
			{Name: "a", Dims: []uint64{2, 1}, Data: data(3, -1)},
			{Name: "b", Dims: []uint64{1}, Data: data(2)},
			{Name: "half", Type: uint32(gguf.F16), Dims: []uint64{2}, Data: make([]byte, 4)},
		},
	})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	weights := map[blockmask.Block][]string{{Layer: 0}: {"a", "b", "a view"}, {Layer: 1}: {"a view"}, {Layer: 2}: {"half"}}
	norm := WeightNorm(t.Context(), e, f, func(b blockmask.Block) []string { return weights[b] })
	for range 2 {
		if got, err := norm(blockmask.Block{Layer: 0}); err != nil || math.Abs(got-math.Sqrt(14./3)) > 1e-12 {
			t.Errorf("%v, %v", got, err)
		}
	}
	if _, err := norm(blockmask.Block{Layer: 1}); err == nil || !strings.Contains(err.Error(), "attn:1 has no weights") {
		t.Errorf("no weights: %v", err)
	}
	if _, err := norm(blockmask.Block{Layer: 2}); err == nil || !strings.Contains(err.Error(), "tensor half") {
		t.Errorf("a type that cannot be decoded: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := WeightNorm(ctx, e, f, func(b blockmask.Block) []string { return weights[b] })(blockmask.Block{Layer: 0}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
