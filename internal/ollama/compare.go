package ollama

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
	"gonum.org/v1/gonum/stat"
)

// Comparison is what two models answer to the same prompts, and how fast.
type Comparison struct {
	Version  string // of the server
	Logprobs bool   // the server gives tokens and their log-probabilities; else only texts are compared
	Original Side
	Pruned   Side
	Pairs    []Pair
}

// Side is one of the two models.
type Side struct {
	Name    string
	Load    time.Duration // from the request to load it to its answer
	Memory  int64         // bytes that Ollama says it takes (/api/ps: weights, KV cache and buffers)
	VRAM    int64         // of these on GPUs
	Context int           // tokens of the context that Ollama gave it
	Prompt  Rate          // reading prompts
	Gen     Rate          // generating
}

// Rate is a speed in tokens per second over several prompts.
type Rate struct {
	Mean, StdDev float64
	N            int
}

// The modes of a prompt.
const (
	Raw  = "raw"  // the model continues the text
	Chat = "chat" // the text is a user's message, in the model's template
)

// Pair is both models' answer to one prompt.
type Pair struct {
	Mode, Prompt     string
	Original, Pruned Answer

	// EqualChars and EqualTokens are how much of the answers is the same, from their beginning; tokens only where the server
	// gives them.
	EqualChars, EqualTokens int
	// Same says that the answers are equal to the end.
	Same bool
	// Mean and Max are the absolute differences of the equal tokens' log-probabilities, in nats. Behind the first token that
	// differs the models read different texts, and nothing can be compared.
	Mean, Max float64
}

// Answer is what a model generated.
type Answer struct {
	Text   string
	Tokens []Token // empty where the server gives none
}

// Token is a generated one.
type Token struct {
	Text    string
	Logprob float64
}

// CompareOptions say what is asked.
type CompareOptions struct {
	Prompts []string
	Predict int // most tokens of an answer
}

// Compare asks both models the same, one after the other, each prompt raw and as a chat. Decoding is greedy. Each model is
// loaded afresh, so that loading is measured and both do not share memory, and unloaded at the end. progress is told of each answer.
func (s *Server) Compare(ctx context.Context, original, pruned string, opt CompareOptions, progress func(done int, note string)) (*Comparison, error) {
	for _, name := range []string{original, pruned} {
		has, err := s.Has(ctx, name)
		if err != nil {
			return nil, err
		}
		if !has {
			return nil, fmt.Errorf("the Ollama at %s has no model %s; ollama list shows what it has", s.URL, name)
		}
	}
	c := &Comparison{Version: s.Version, Logprobs: s.HasLogprobs()}
	done := 0
	ask := func(side *Side, name string) ([]Answer, error) {
		return s.side(ctx, side, name, opt, func() {
			done++
			progress(done, name)
		})
	}
	a, err := ask(&c.Original, original)
	if err != nil {
		return nil, err
	}
	b, err := ask(&c.Pruned, pruned)
	if err != nil {
		return nil, err
	}
	for i := range a {
		p := Pair{Mode: modeOf(i), Prompt: opt.Prompts[i/2], Original: a[i], Pruned: b[i]}
		p.compare()
		c.Pairs = append(c.Pairs, p)
	}
	return c, nil
}

// modeOf is the mode of a model's i-th answer: each prompt is asked in both.
func modeOf(i int) string {
	if i%2 == 0 {
		return Raw
	}
	return Chat
}

// side loads a model, asks it everything, and unloads it.
func (s *Server) side(ctx context.Context, side *Side, name string, opt CompareOptions, answered func()) ([]Answer, error) {
	side.Name = name
	if err := s.load(ctx, side); err != nil {
		return nil, err
	}
	defer s.unload(context.WithoutCancel(ctx), name) //nolint:errcheck // the answers are there
	// The first batch of a process is slow, and no measure of the model.
	if _, _, err := s.generate(ctx, name, "a", 1); err != nil {
		return nil, err
	}
	var answers []Answer
	var reading, writing []float64
	for i := range 2 * len(opt.Prompts) {
		ask := s.generate
		if modeOf(i) == Chat {
			ask = s.chat
		}
		a, m, err := ask(ctx, name, opt.Prompts[i/2], opt.Predict)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
		reading, writing = addRate(reading, m.PromptEvalCount, m.PromptEvalDuration), addRate(writing, m.EvalCount, m.EvalDuration)
		answered()
	}
	side.Prompt, side.Gen = newRate(reading), newRate(writing)
	return answers, nil
}

// addRate adds a speed, unless nothing was measured: a prompt that the server still had takes no time.
func addRate(rates []float64, tokens int, d time.Duration) []float64 {
	if tokens == 0 || d <= 0 {
		return rates
	}
	return append(rates, float64(tokens)/d.Seconds())
}

func newRate(x []float64) Rate {
	r := Rate{N: len(x)}
	switch len(x) {
	case 0:
	case 1:
		r.Mean = x[0]
	default:
		r.Mean, r.StdDev = stat.MeanStdDev(x, nil)
	}
	return r
}

// load loads the model afresh and asks for its memory.
func (s *Server) load(ctx context.Context, side *Side) error {
	if err := s.unload(ctx, side.Name); err != nil {
		return err
	}
	begin := time.Now()
	if err := s.client.Generate(ctx, &api.GenerateRequest{Model: side.Name}, func(api.GenerateResponse) error { return nil }); err != nil {
		return s.failed("asked to load "+side.Name, err)
	}
	side.Load = time.Since(begin)
	running, err := s.client.ListRunning(ctx)
	if err != nil {
		return s.failed("asked what runs", err)
	}
	want, _ := CheckName(side.Name)
	for _, m := range running.Models {
		if got, err := CheckName(m.Name); err == nil && strings.EqualFold(got, want) {
			side.Memory, side.VRAM, side.Context = m.Size, m.SizeVRAM, m.ContextLength
		}
	}
	return nil
}

// unload has the server free the model, and waits until it has.
func (s *Server) unload(ctx context.Context, name string) error {
	req := &api.GenerateRequest{Model: name, KeepAlive: &api.Duration{}}
	if err := s.client.Generate(ctx, req, func(api.GenerateResponse) error { return nil }); err != nil {
		return s.failed("asked to unload "+name, err)
	}
	want, _ := CheckName(name)
	for range 100 {
		running, err := s.client.ListRunning(ctx)
		if err != nil {
			return s.failed("asked what runs", err)
		}
		there := false
		for _, m := range running.Models {
			got, _ := CheckName(m.Name)
			there = there || strings.EqualFold(got, want)
		}
		if !there {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil // somebody else is using it: then loading is no measure, but the rest is
}

// compare fills in how the answers differ.
func (p *Pair) compare() {
	a, b := p.Original, p.Pruned
	p.Same = a.Text == b.Text
	x, y := []rune(a.Text), []rune(b.Text)
	for p.EqualChars < min(len(x), len(y)) && x[p.EqualChars] == y[p.EqualChars] {
		p.EqualChars++
	}
	for p.EqualTokens < min(len(a.Tokens), len(b.Tokens)) && a.Tokens[p.EqualTokens].Text == b.Tokens[p.EqualTokens].Text {
		i := p.EqualTokens
		d := a.Tokens[i].Logprob - b.Tokens[i].Logprob
		d = max(d, -d)
		p.Mean += d
		p.Max = max(p.Max, d)
		p.EqualTokens++
	}
	if p.EqualTokens > 0 {
		p.Mean /= float64(p.EqualTokens)
	}
}
