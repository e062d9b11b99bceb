//go:build cgo

package ollamatest

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/llamabind"
)

// predict is how many tokens are compared.
const predict = 16

// prompts are a text that the small model knows, and one that none does.
var prompts = []string{"### Instruction:\nDescribe the sea.\n\n### Response:\n", "abc def ghi jkl"}

// qwenShape is small, has what tells qwen2 from llama (biases, rotation of halves), and several heads per key-value head.
var qwenShape = randmodel.Shape{Name: "Small qwen2", Arch: "qwen2", Layers: 4, Embd: 256, Heads: 4, KVHeads: 2, FFN: 512, Vocab: 1024, RopeBase: 1e4}

// source makes a model of the architecture in Ollama and returns its name. Its weights are F32: with quantised ones each
// multiplication rounds its input to 8 bits, and two builds of ggml that differ in the last bit then differ by a hundredth. One
// thread, because Ollama's threads spin while they wait, and tests run beside others.
func source(t *testing.T, arch string) string {
	t.Helper()
	work := t.TempDir()
	from := filepath.FromSlash(tiny)
	if arch == "qwen2" {
		from = filepath.Join(work, "qwen2.gguf")
		if err := randmodel.Write(context.Background(), from, qwenShape, 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := llamabind.Quantize(from, filepath.Join(work, "f32.gguf"), "F32", 2); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(work, "Modelfile"), "FROM ./f32.gguf\nPARAMETER num_thread 1\nPARAMETER num_ctx 256\n")
	ollamaCLI(t, work, "create", "source-"+arch, "-f", "Modelfile")
	return "source-" + arch
}

func connect(t *testing.T) *ollama.Server {
	t.Helper()
	s, err := ollama.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What Ollama generates from a written file is what llama.cpp generates from it: the same text, and the same log-probabilities
// but for what two builds of ggml round differently. The file's check has shown before that llama.cpp computes from it what was
// measured, so this closes the chain from the measurement to Ollama.
func TestPrunedModelsInOllama(t *testing.T) {
	needServer(t)
	for _, arch := range []string{"llama", "qwen2"} {
		from := source(t, arch)
		masks := map[string]string{"llama": "attn:0,attn:3,ffn:7", "qwen2": "attn:1,ffn:2"}
		deci := prunedAnswers(t, from, masks[arch], "deci")
		zeros := prunedAnswers(t, from, masks[arch], "zeros")
		// In one Ollama the two files compute the same: to the bit where no rows were permuted.
		for i, prompt := range prompts {
			worst := same(t, prompt, deci[i], zeros[i])
			if arch == "llama" && worst != 0 {
				t.Errorf("%q: deci and zeros differ by %.2g in Ollama", prompt, worst)
			}
		}
	}
}

// prunedAnswers makes a pruned model of a source in Ollama, and compares what Ollama and llama.cpp make of it.
func prunedAnswers(t *testing.T, from, mask, layout string) (answers []ollama.Answer) {
	t.Helper()
	work, name := t.TempDir(), from+":"+layout
	raw := ggufprune(t, work, "apply", "--repair", "off", "-m", "ollama:"+from, "--mask", mask, "--layout", layout, "-o", "p.gguf", "--ollama", name,
		"-c", "64", "--chunks", "4", "--json", "-q")
	var out struct {
		Output struct{ Layout, Ollama string }
	}
	if err := json.Unmarshal([]byte(raw), &out); err != nil || out.Output.Layout != layout || out.Output.Ollama != name {
		t.Fatalf("%v: %s", err, raw)
	}
	model := load(t, filepath.Join(work, "p.gguf"))
	for _, prompt := range prompts {
		got, err := connect(t).Generate(context.Background(), name, prompt, predict)
		if err != nil {
			t.Fatal(err)
		}
		worst := same(t, prompt, got, model.generate(t, prompt))
		t.Logf("%s %q: %d tokens, log-probabilities differ from llama.cpp's by at most %.2g", name, prompt, len(got.Tokens), worst)
		answers = append(answers, got)
	}
	return answers
}

// tolerance is for log-probabilities of two releases of llama.cpp, one of which computes token by token and the other the whole
// text at once, in nats. 0.0012 was measured; a layer in the wrong place makes some tenths, and another text.
const tolerance = 4e-3

// same compares answers token by token, and returns the largest difference of log-probabilities.
func same(t *testing.T, prompt string, got, want ollama.Answer) float64 {
	t.Helper()
	if got.Text != want.Text || len(got.Tokens) == 0 || len(got.Tokens) != len(want.Tokens) {
		t.Errorf("%q: %q in %d tokens, want %q in %d", prompt, got.Text, len(got.Tokens), want.Text, len(want.Tokens))
		return math.Inf(1)
	}
	worst := 0.0
	for i := range got.Tokens {
		if got.Tokens[i].Text != want.Tokens[i].Text {
			t.Errorf("%q: token %d is %q, want %q", prompt, i, got.Tokens[i].Text, want.Tokens[i].Text)
		}
		worst = max(worst, math.Abs(got.Tokens[i].Logprob-want.Tokens[i].Logprob))
	}
	if worst > tolerance {
		t.Errorf("%q: log-probabilities differ by %.3g", prompt, worst)
	}
	return worst
}

// reference is a model in llama.cpp, run unedited.
type reference struct {
	m *llamabind.Model
	s *llamabind.Session
}

func load(t *testing.T, path string) reference {
	t.Helper()
	m, err := llamabind.LoadModel(context.Background(), path, engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	s, err := m.NewSession(context.Background(), engine.SessionParams{NSeq: 1, SeqLen: 128, Threads: 2, Unedited: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return reference{m, s}
}

// generate takes the most likely token, again and again, and computes the whole text for each.
func (r reference) generate(t *testing.T, prompt string) (a ollama.Answer) {
	t.Helper()
	text, err := r.m.Tokenize(prompt, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for range predict {
		seq := engine.Sequence{Tokens: text, Targets: make([]engine.Token, len(text))}
		for i := range seq.Targets {
			seq.Targets[i] = engine.Unscored
		}
		seq.Targets[len(text)-1] = 0
		var best engine.Token
		var logprob float64
		err := r.s.Logits(context.Background(), []engine.Sequence{seq}, nil, func(_, pos int, logits []float32) error {
			best, logprob = greedy(logits)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.m.EOG(best) {
			break
		}
		piece := r.m.Piece(best, false)
		text = append(text, best)
		a.Text += piece
		a.Tokens = append(a.Tokens, ollama.Token{Text: piece, Logprob: logprob})
	}
	return a
}

// greedy returns the largest logit's token and its log-probability.
func greedy(logits []float32) (engine.Token, float64) {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - logits[best]))
	}
	return engine.Token(best), -math.Log(sum)
}

const parentModelfile = `FROM %s
TEMPLATE """### Instruction:
{{ .Prompt }}

### Response:
"""
PARAMETER stop "###"
PARAMETER stop "<|end|>"
PARAMETER temperature 0.25
PARAMETER num_ctx 256
PARAMETER num_thread 1
SYSTEM """Speak "plainly",
in short words."""
LICENSE """First licence,
with "quotes".
"""
LICENSE Second licence.
MESSAGE user Hello
MESSAGE assistant """Good
day"""
`

// details is what Ollama shows of a model besides its weights.
func details(t *testing.T, name string) string {
	t.Helper()
	text := ollamaCLI(t, dir, "show", name, "--modelfile")
	_, text, found := strings.Cut(text, "\nFROM /")
	_, text, cut := strings.Cut(text, "\n")
	if !found || !cut {
		t.Fatalf("ollama show %s: %s", name, text)
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines) // parameters are in no order
	return strings.Join(lines, "\n")
}

// A model that Ollama's own program made, pruned by its name: the result has its template, parameters, system prompt, licences
// and messages, whether we hand it to Ollama or ollama create reads the Modelfile.
func TestFromOllamaToOllama(t *testing.T) {
	needServer(t)
	work := t.TempDir()
	write(t, filepath.Join(work, "Modelfile"), strings.Replace(parentModelfile, "%s", absolute(t, tiny), 1))
	ollamaCLI(t, work, "create", "parent:q8", "-f", "Modelfile")
	ggufprune(t, work, "prune", "--repair", "off", "-m", "ollama:parent:q8", "--blocks", "1", "-c", "64", "--chunks", "4", "-o", "small.gguf", "--ollama", "parent:pruned", "-q")
	ollamaCLI(t, work, "create", "byhand", "-f", "small.Modelfile")
	want := details(t, "parent:q8")
	for _, piece := range []string{"temperature 0.25", "<|end|>", "Second licence.", "in short words.", "assistant"} {
		if !strings.Contains(want, piece) {
			t.Errorf("the parent lacks %q: %s", piece, want)
		}
	}
	for _, name := range []string{"parent:pruned", "byhand"} {
		if got := details(t, name); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}

	// The whole program on both models.
	var out struct {
		Original, Pruned struct {
			Name   string
			Gen    float64 `json:"tokens_per_s"`
			Memory int64   `json:"memory_bytes"`
			Load   float64 `json:"load_s"`
			Ctx    int     `json:"n_ctx"`
		}
		Answers []struct {
			Mode  string
			Same  bool
			Equal *int `json:"equal_tokens"`
		}
	}
	raw := ggufprune(t, work, "compare", "--ollama", "parent:q8", "parent:pruned", "-n", "4", "--json", "-q")
	if err := json.Unmarshal([]byte(raw), &out); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	o, p := out.Original, out.Pruned
	if o.Gen <= 0 || p.Gen <= 0 || o.Load <= 0 || p.Memory <= 0 || p.Memory >= o.Memory || o.Ctx != 256 || p.Ctx != 256 {
		t.Errorf("original %+v, pruned %+v", o, p)
	}
	if len(out.Answers) != 2*len(ollama.Prompts) || out.Answers[0].Equal == nil || out.Answers[1].Mode != ollama.Chat {
		t.Errorf("answers %+v", out.Answers)
	}
}

// Two models that are the same answer the same, raw and in a chat: what Compare reports as a difference is one.
func TestCompareEqualModels(t *testing.T) {
	needServer(t)
	work := t.TempDir()
	write(t, filepath.Join(work, "Modelfile"), "FROM "+absolute(t, tiny)+"\nPARAMETER num_ctx 256\nPARAMETER num_thread 1\n")
	for _, name := range []string{"same:1", "same:2"} {
		ollamaCLI(t, work, "create", name, "-f", "Modelfile")
	}
	c, err := connect(t).Compare(context.Background(), "same:1", "same:2", ollama.CompareOptions{Prompts: prompts, Predict: 8}, func(int, string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Pairs {
		if !p.Same || p.Max != 0 || p.EqualTokens != len(p.Original.Tokens) || p.EqualTokens == 0 {
			t.Errorf("%+v", p)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
