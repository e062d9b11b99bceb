package ollama

import (
	"context"
	"strings"

	"github.com/ollama/ollama/api"
)

// greedy are the options of each request: the most likely token, no penalties, nothing that ends an answer but the model.
func greedy(predict int) map[string]any {
	return map[string]any{
		"temperature": 0, "seed": 0, "num_predict": predict, "repeat_penalty": 1.0, "presence_penalty": 0.0,
		"frequency_penalty": 0.0, "stop": []string{},
	}
}

// Generate has the model continue prompt, without any template and by the most likely tokens. Without its logprobs the server is
// too old for Answer.Tokens.
func (s *Server) Generate(ctx context.Context, name, prompt string, predict int) (Answer, error) {
	a, _, err := s.generate(ctx, name, prompt, predict)
	return a, err
}

func (s *Server) generate(ctx context.Context, name, prompt string, predict int) (Answer, api.Metrics, error) {
	var r gathered
	req := &api.GenerateRequest{Model: name, Prompt: prompt, Raw: true, Options: greedy(predict), Logprobs: s.HasLogprobs()}
	err := s.client.Generate(ctx, req, func(p api.GenerateResponse) error { return r.add(p.Response, p.Logprobs, p.Done, p.Metrics) })
	return r.end(s, name, err)
}

// chat asks with the model's template. A model that can think first is told not to.
func (s *Server) chat(ctx context.Context, name, prompt string, predict int) (Answer, api.Metrics, error) {
	var r gathered
	req := &api.ChatRequest{
		Model: name, Messages: []api.Message{{Role: "user", Content: prompt}}, Options: greedy(predict), Logprobs: s.HasLogprobs(),
		Think: &api.ThinkValue{Value: false},
	}
	err := s.client.Chat(ctx, req, func(p api.ChatResponse) error { return r.add(p.Message.Content, p.Logprobs, p.Done, p.Metrics) })
	return r.end(s, name, err)
}

// gathered is the pieces in which an answer comes.
type gathered struct {
	text    strings.Builder
	answer  Answer
	metrics api.Metrics
}

func (r *gathered) add(text string, tokens []api.Logprob, done bool, m api.Metrics) error {
	r.text.WriteString(text)
	r.answer.add(tokens)
	if done {
		r.metrics = m
	}
	return nil
}

// end is the whole answer, and why there is none.
func (r *gathered) end(s *Server, name string, err error) (Answer, api.Metrics, error) {
	r.answer.Text = r.text.String()
	if err != nil {
		err = s.failed("asked "+name, err)
	}
	return r.answer, r.metrics, err
}

func (a *Answer) add(tokens []api.Logprob) {
	for _, t := range tokens {
		a.Tokens = append(a.Tokens, Token{t.Token, t.Logprob})
	}
}
