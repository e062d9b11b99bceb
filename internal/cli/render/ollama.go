package render

import (
	"fmt"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/publish"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// printPublication prints what Ollama has now; the error is why it has not what it was to have.
func printPublication(u *ui.UI, p *publish.Publication) error {
	if p == nil {
		return nil
	}
	if p.Modelfile != "" {
		u.Resultf("ollama  %s", p.Modelfile)
	}
	switch {
	case p.Err != nil:
		return p.Err
	case p.Name != "":
		u.Resultf("        model %s is in Ollama", p.Name)
		u.Notef("run it: ollama run %s", format.Shell(p.Name))
	default:
		u.Notef("run it: ollama create NAME -f %s && ollama run NAME", format.Shell(p.Modelfile))
	}
	return nil
}

// Ollama prints how two models of a running Ollama compare, and the JSON object.
func Ollama(u *ui.UI, c *ollama.Comparison) error {
	printOllama(u, c)
	return u.JSON(newOllamaJSON(c))
}

// printOllama prints both models side by side, and then their answers.
func printOllama(u *ui.UI, c *ollama.Comparison) {
	a, b := c.Original, c.Pruned
	row := func(what string, f func(ollama.Side) string, ratio float64) []any {
		r := ""
		if jsonnum.Finite(ratio) && ratio > 0 {
			r = fmt.Sprintf("x%.2f", ratio)
		}
		return []any{what, f(a), f(b), r}
	}
	rate := func(r ollama.Rate) string { return fmt.Sprintf("%.1f ± %.1f", r.Mean, r.StdDev) }
	u.Table("Ollama "+c.Version, []ui.Column{{Head: ""}, {Head: a.Name, Number: true}, {Head: b.Name, Number: true}, {Head: "ratio", Number: true}}, [][]any{
		row("generation, tokens/s", func(s ollama.Side) string { return rate(s.Gen) }, b.Gen.Mean/a.Gen.Mean),
		row("prompt, tokens/s", func(s ollama.Side) string { return rate(s.Prompt) }, b.Prompt.Mean/a.Prompt.Mean),
		row("load time", func(s ollama.Side) string { return fmt.Sprintf("%.2f s", s.Load.Seconds()) }, b.Load.Seconds()/a.Load.Seconds()),
		row("memory", func(s ollama.Side) string { return format.Size(s.Memory) }, float64(b.Memory)/float64(a.Memory)),
		row("of it on GPUs", func(s ollama.Side) string { return format.Size(s.VRAM) }, float64(b.VRAM)/float64(a.VRAM)),
		row("context, tokens", func(s ollama.Side) string { return fmt.Sprint(s.Context) }, 0),
	})
	var rows [][]any
	for _, p := range c.Pairs {
		same, mean, largest := fmt.Sprintf("%d characters", p.EqualChars), "", ""
		if c.Logprobs {
			same = fmt.Sprintf("%d of %d tokens", p.EqualTokens, len(p.Original.Tokens))
		}
		if p.EqualTokens > 0 {
			mean, largest = fmt.Sprintf("%.4f", p.Mean), fmt.Sprintf("%.4f", p.Max)
		}
		if p.Same {
			same = "all"
		}
		rows = append(rows, []any{p.Mode, clip(p.Prompt, 32), same, mean, largest})
	}
	u.Resultf("")
	u.Table("How far the answers are the same, and the differences of log-probabilities (nats) so far", []ui.Column{
		{Head: "mode"}, {Head: "prompt"}, {Head: "the same", Number: true}, {Head: "mean", Number: true}, {Head: "largest", Number: true},
	}, rows)
	for _, p := range c.Pairs {
		u.Resultf("")
		u.Resultf("%-9s %s", p.Mode, oneLine(p.Prompt))
		u.Resultf("original  %s", oneLine(p.Original.Text))
		u.Resultf("pruned    %s", oneLine(p.Pruned.Text))
	}
}

// clip returns s in one line of at most n characters.
func clip(s string, n int) string {
	if r := []rune(oneLine(s)); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return oneLine(s)
}

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
			a.Mean, a.Max = jsonnum.Known(p.Mean), jsonnum.Known(p.Max)
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
