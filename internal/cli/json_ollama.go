package cli

import "github.com/ggufprune/ggufprune/internal/ollama"

// ollamaJSON is printed by compare --ollama.
type ollamaJSON struct {
	Command  string           `json:"command"`
	Ollama   string           `json:"ollama_version"`
	Original ollamaSideJSON   `json:"original"`
	Pruned   ollamaSideJSON   `json:"pruned"`
	Answers  []ollamaPairJSON `json:"answers"`
}

// ollamaSideJSON is one of the models.
type ollamaSideJSON struct {
	Name      string  `json:"name"`
	Gen       float64 `json:"tokens_per_s"`
	GenSD     float64 `json:"tokens_per_s_stddev"`
	Prompt    float64 `json:"prompt_tokens_per_s"`
	PromptSD  float64 `json:"prompt_tokens_per_s_stddev"`
	LoadS     float64 `json:"load_s"`
	Memory    int64   `json:"memory_bytes"`
	VRAM      int64   `json:"vram_bytes"`
	Context   int     `json:"n_ctx"`
	Responses int     `json:"answers_timed"`
}

// ollamaPairJSON is both models' answer to one prompt.
type ollamaPairJSON struct {
	Mode       string   `json:"mode"`
	Prompt     string   `json:"prompt"`
	Original   string   `json:"original_text"`
	Pruned     string   `json:"pruned_text"`
	Same       bool     `json:"same"`
	EqualChars int      `json:"equal_chars"`
	Equal      *int     `json:"equal_tokens,omitempty"`
	Mean       *float64 `json:"mean_abs_diff,omitempty"`
	Max        *float64 `json:"max_abs_diff,omitempty"`
}

func newOllamaJSON(c *ollama.Comparison) ollamaJSON {
	j := ollamaJSON{Command: "compare", Ollama: c.Version, Original: newSideJSON(c.Original), Pruned: newSideJSON(c.Pruned), Answers: []ollamaPairJSON{}}
	for _, p := range c.Pairs {
		a := ollamaPairJSON{
			Mode: p.Mode, Prompt: p.Prompt, Original: p.Original.Text, Pruned: p.Pruned.Text, Same: p.Same, EqualChars: p.EqualChars,
		}
		if c.Logprobs {
			a.Equal = &p.EqualTokens
		}
		if p.EqualTokens > 0 {
			a.Mean, a.Max = number(p.Mean), number(p.Max)
		}
		j.Answers = append(j.Answers, a)
	}
	return j
}

func newSideJSON(s ollama.Side) ollamaSideJSON {
	return ollamaSideJSON{
		Name: s.Name, Gen: s.Gen.Mean, GenSD: s.Gen.StdDev, Prompt: s.Prompt.Mean, PromptSD: s.Prompt.StdDev, LoadS: s.Load.Seconds(),
		Memory: s.Memory, VRAM: s.VRAM, Context: s.Context, Responses: s.Gen.N,
	}
}
