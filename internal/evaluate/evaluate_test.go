package evaluate

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/perplexity"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

func spec(e enginetest.Runtime) source.Spec {
	return source.Spec{Engine: e, Path: tinyModel, FlashAttn: "auto"}
}

func mask(t *testing.T, s string) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pplJob(c perplexity.Convention) PPLJob {
	return PPLJob{Spec: spec(enginetest.Runtime{}), Text: corpus.Text{Convention: c, Context: 64, Batch: 256, Max: 5}, UBatch: 128}
}

// direct is the perplexity of the job's text by the package comment of perplexity, one sequence after the other.
func direct(t *testing.T, j PPLJob) float64 {
	t.Helper()
	src, err := source.Open(t.Context(), j.Spec)
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
	session, err := src.Session(t.Context(), 1, j.Text.Context)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	sum, n, means := 0.0, 0, 0.0
	for _, q := range set.Sequences {
		rows, err := session.EvalPlain(t.Context(), []engine.Sequence{q}, j.Mask)
		if err != nil {
			t.Fatal(err)
		}
		one := 0.0
		for _, x := range rows[0] {
			one += x
		}
		sum, n, means = sum+one, n+q.Scored(), means+one/float64(q.Scored())
	}
	if j.Text.Convention == perplexity.Samples {
		return math.Exp(means / float64(len(set.Sequences)))
	}
	return math.Exp(sum / float64(n))
}

// A perplexity is that of the engine's losses by its convention, with a mask and without.
func TestPPL(t *testing.T) {
	t.Parallel()
	for _, convention := range []perplexity.Convention{perplexity.Windows, perplexity.Samples} {
		var before float64
		for _, removed := range []string{"", "attn:2,ffn:0"} {
			j := pplJob(convention)
			j.Mask = mask(t, removed)
			if convention == perplexity.Samples {
				j.Text.File = "../../testdata/simple.jsonl"
			}
			sink := new(progresstest.Listener)
			out, err := PPL(t.Context(), j, sink)
			if err != nil {
				t.Fatal(err)
			}
			got, want := out.Estimate.PPL, direct(t, j)
			if math.Abs(got/want-1) > 1e-12 || got == before || out.Estimate.Sequences != 5 || out.Context != 64 {
				t.Errorf("%s without %q: %+v, directly %v, with all blocks %v", convention, removed, out.Estimate, want, before)
			}
			if bar := sink.Parts["perplexity"]; len(bar) == 0 || bar[len(bar)-1] < int64(out.Estimate.Scored) || len(sink.Notes) != 0 {
				t.Errorf("told %v, notes %q", bar, sink.Notes)
			}
			before = got
		}
	}
}

// sessions notes how the sessions of a model are sized, and can make its losses infinite.
type sessions struct {
	engine.Model
	seen   *[]engine.SessionParams
	broken bool
}

func (m sessions) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	*m.seen = append(*m.seen, p)
	s, err := m.Model.NewSession(ctx, p)
	if m.broken && err == nil {
		s = infinite{s}
	}
	return s, err
}

type infinite struct{ engine.Session }

func (s infinite) EvalPlain(ctx context.Context, batch []engine.Sequence, removed engine.Mask) ([][]float64, error) {
	rows, err := s.Session.EvalPlain(ctx, batch, removed)
	if err == nil {
		rows[0][len(rows[0])-2] = math.Inf(1)
	}
	return rows, err
}

func watched(seen *[]engine.SessionParams, broken bool) enginetest.Runtime {
	return enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model { return sessions{m, seen, broken} }}
}

// Without a mask the context is a stock one of llama-perplexity's shape; with one, a graph is no larger than -ub.
func TestShapes(t *testing.T) {
	t.Parallel()
	for removed, want := range map[string]engine.SessionParams{
		"":      {NSeq: 4, SeqLen: 64, FlashAttn: "auto", Unedited: true, Batch: 256, UBatch: 128},
		"ffn:1": {NSeq: 2, SeqLen: 64, FlashAttn: "auto"},
	} {
		var seen []engine.SessionParams
		j := pplJob(perplexity.Windows)
		j.Spec, j.Mask = spec(watched(&seen, false)), mask(t, removed)
		if _, err := PPL(t.Context(), j, new(progresstest.Listener)); err != nil || len(seen) != 1 || seen[0] != want {
			t.Errorf("without %q: %+v, %v", removed, seen, err)
		}
	}
}

// A batch smaller than a window is one of pieces, and a graph is never larger than a batch.
func TestSmallBatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ b, ub, nSeq, batch, ubatch int }{{40, 128, 1, 40, 40}, {40, 16, 1, 40, 16}, {64, 512, 1, 64, 64}, {200, 150, 3, 192, 150}} {
		var seen []engine.SessionParams
		j := pplJob(perplexity.Windows)
		j.Spec, j.Text.Batch, j.UBatch = spec(watched(&seen, false)), c.b, c.ub
		want := engine.SessionParams{NSeq: c.nSeq, SeqLen: 64, FlashAttn: "auto", Unedited: true, Batch: c.batch, UBatch: c.ubatch}
		if _, err := PPL(t.Context(), j, new(progresstest.Listener)); err != nil || len(seen) != 1 || seen[0] != want {
			t.Errorf("-b %d -ub %d: %+v, %v", c.b, c.ub, seen, err)
		}
	}
}

// A mask of blocks that are not there is refused, as are a missing text and a model that ends a text.
func TestPPLRefusals(t *testing.T) {
	t.Parallel()
	j := pplJob(perplexity.Windows)
	j.Mask = mask(t, "ffn:99")
	if _, err := PPL(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "ffn:99") {
		t.Errorf("a block that is not there: %v", err)
	}
	j = pplJob(perplexity.Windows)
	j.Text.File = "no.txt"
	if _, err := PPL(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "check its path") {
		t.Errorf("a text that is not there: %v", err)
	}
	// More context than the model was trained on is its user's affair, and told.
	j = pplJob(perplexity.Windows)
	j.Text.Context, j.Text.Max = 513, 1
	sink := new(progresstest.Listener)
	if _, err := PPL(t.Context(), j, sink); err != nil || len(sink.Notes) != 1 || !strings.Contains(sink.Notes[0], "was trained on") {
		t.Errorf("a long context: notes %q, %v", sink.Notes, err)
	}
}

// A perplexity that is not finite is told, since it may be a mask's; answers that no number stands behind are refused.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	var seen []engine.SessionParams
	j := pplJob(perplexity.Windows)
	j.Spec = spec(watched(&seen, true))
	sink := new(progresstest.Listener)
	out, err := PPL(t.Context(), j, sink)
	if err != nil || !math.IsInf(out.Estimate.PPL, 1) || len(sink.Notes) != 1 || !strings.Contains(sink.Notes[0], "not finite") {
		t.Errorf("%+v, notes %q, %v", out, sink.Notes, err)
	}
	answers := tasksJob(j.Spec)
	inFolder(t, &answers)
	_, err = Tasks(t.Context(), answers, new(progresstest.Listener))
	if err == nil || !strings.Contains(err.Error(), "is not finite") || !strings.Contains(err.Error(), "of 4 answers") || strings.Contains(err.Error(), "too much removed") {
		t.Errorf("tasks: %v", err)
	}
}

// piqa has two items of two answers; the test's engine knows no language, so that what is right is a matter of luck.
const piqa = `{"goal": "To dry a shirt", "sol1": "hang it in the sun", "sol2": "hang it in the rain", "label": 0}
{"goal": "To cool tea", "sol1": "set fire to it", "sol2": "wait", "label": 1}
`

func tasksJob(s source.Spec) TasksJob {
	return TasksJob{Spec: s, Tasks: []TaskFile{{tasks.PIQA, "piqa.jsonl"}}, Batch: 256, UBatch: 256}
}

// inFolder writes the file of tasksJob, and names it.
func inFolder(t *testing.T, j *TasksJob) {
	t.Helper()
	j.Tasks[0].Path = filepath.Join(t.TempDir(), "piqa.jsonl")
	if err := os.WriteFile(j.Tasks[0].Path, []byte(piqa), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Log-likelihoods are the sums of the engine's losses over the answers' tokens, and the accuracy is that of the likelier answers.
func TestTasks(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"", "attn:0,ffn:0"} {
		j := tasksJob(spec(enginetest.Runtime{}))
		inFolder(t, &j)
		j.Mask = mask(t, removed)
		out, err := Tasks(t.Context(), j, new(progresstest.Listener))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Results) != 1 || out.Files[0] != j.Tasks[0].Path || out.Context != 512 || len(out.Results[0].Answers) != 2 {
			t.Fatalf("%+v", out)
		}
		src, err := source.Open(t.Context(), j.Spec)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		session, err := src.Session(t.Context(), 1, 128)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		right := 0
		for i, item := range out.Results[0].Task.Items {
			var direct []float64
			for _, choice := range item.Choices {
				context, _ := src.Model.Tokenize(choice.Prompt, true, false)
				all, _ := src.Model.Tokenize(choice.Prompt+choice.Ending, true, false)
				q := engine.Sequence{Tokens: all[:len(all)-1], Targets: append([]engine.Token(nil), all[1:]...)}
				for p := range len(context) - 1 {
					q.Targets[p] = engine.Unscored
				}
				rows, err := session.EvalPlain(t.Context(), []engine.Sequence{q}, j.Mask)
				if err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for _, x := range rows[0] {
					sum -= x
				}
				direct = append(direct, sum)
			}
			got := out.Results[0].Answers[i]
			for k, want := range direct {
				if math.Abs(got.LogLikelihoods[k]-want) > 1e-9 {
					t.Errorf("without %q, answer %d of item %d: %v, directly %v", removed, k, i, got.LogLikelihoods[k], want)
				}
			}
			if (direct[1] > direct[0]) == (i == 1) {
				right++
			}
		}
		if out.Results[0].Correct != right {
			t.Errorf("without %q: %d right, directly %d", removed, out.Results[0].Correct, right)
		}
	}
}

// Each file has its own result, in order, of as many items as were asked for.
func TestSeveralTasks(t *testing.T) {
	t.Parallel()
	j := tasksJob(spec(enginetest.Runtime{}))
	inFolder(t, &j)
	whole, err := Tasks(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	j.Tasks = []TaskFile{{tasks.HellaSwag, "../../testdata/tasks/hellaswag.jsonl"}, j.Tasks[0]}
	j.First = 1
	both, err := Tasks(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	if len(both.Results) != 2 || len(both.Results[0].Answers) != 1 || len(both.Results[1].Answers) != 1 {
		t.Fatalf("%+v", both)
	}
	if a, b := both.Results[1].Answers[0].LogLikelihoods, whole.Results[0].Answers[0].LogLikelihoods; len(a) != 2 || a[0] != b[0] || a[1] != b[1] {
		t.Errorf("behind another file %v, alone %v", a, b)
	}
}

// A file that is not there is told before a model is loaded.
func TestTaskFiles(t *testing.T) {
	t.Parallel()
	loaded := false
	j := tasksJob(spec(enginetest.Runtime{OnLoad: func(string) error {
		loaded = true
		return nil
	}}))
	inFolder(t, &j)
	j.Tasks = append(j.Tasks, TaskFile{tasks.HellaSwag, "no.jsonl"})
	if _, err := Tasks(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "check the path given with --task hellaswag=") || loaded {
		t.Errorf("loaded %v, %v", loaded, err)
	}
}

// What continues a prompt is the model's word.
func TestGenerate(t *testing.T) {
	t.Parallel()
	if got, err := Generate(t.Context(), spec(enginetest.Runtime{}), tinyModel, "abc", 2); err != nil || got != "aa" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Generate(t.Context(), spec(enginetest.Runtime{}), "no.gguf", "abc", 2); err == nil {
		t.Error("a file that is not there says something")
	}
}
