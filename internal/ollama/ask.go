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

func (s *Server) generate(ctx context.Context, name, prompt string, predict int) (a Answer, m api.Metrics, err error) {
	var text strings.Builder
	req := &api.GenerateRequest{Model: name, Prompt: prompt, Raw: true, Options: greedy(predict), Logprobs: s.HasLogprobs()}
	err = s.client.Generate(ctx, req, func(r api.GenerateResponse) error {
		text.WriteString(r.Response)
		a.add(r.Logprobs)
		if r.Done {
			m = r.Metrics
		}
		return nil
	})
	a.Text = text.String()
	if err != nil {
		err = s.failed("asked "+name, err)
	}
	return a, m, err
}

// chat asks with the model's template. A model that can think first is told not to.
func (s *Server) chat(ctx context.Context, name, prompt string, predict int) (a Answer, m api.Metrics, err error) {
	var text strings.Builder
	req := &api.ChatRequest{
		Model: name, Messages: []api.Message{{Role: "user", Content: prompt}}, Options: greedy(predict), Logprobs: s.HasLogprobs(),
		Think: &api.ThinkValue{Value: false},
	}
	err = s.client.Chat(ctx, req, func(r api.ChatResponse) error {
		text.WriteString(r.Message.Content)
		a.add(r.Logprobs)
		if r.Done {
			m = r.Metrics
		}
		return nil
	})
	a.Text = text.String()
	if err != nil {
		err = s.failed("asked "+name, err)
	}
	return a, m, err
}

func (a *Answer) add(tokens []api.Logprob) {
	for _, t := range tokens {
		a.Tokens = append(a.Tokens, Token{t.Token, t.Logprob})
	}
}
