package realbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// estimate is a number with its standard error. One that is not finite is +Inf.
type estimate struct {
	Mean   jsonnum.Float `json:"mean"`
	StdErr jsonnum.Float `json:"stderr"`

	Windows int `json:"windows"` // fewer than asked for where the text is short
}

// shortWindow is the window of the figure ppl_ratio, as elsewhere in docs/BENCHMARKS.md.
const shortWindow = 512

// onWindows are the settings of what is measured on windows of the text.
func (b *bench) onWindows(window, windows int) settings {
	return settings{"text": b.textHash[:12], "c": strconv.Itoa(window), "windows": strconv.Itoa(windows)}
}

// perplexitySettings are those of the table, and of the figure where that is of the subject.
func (b *bench) perplexitySettings(s subject) []settings {
	out := []settings{b.onWindows(b.window, b.windows)}
	if short := b.shortSettings(); short != nil && (s.method == original || s.method == width) {
		out = append(out, short)
	}
	return out
}

// shortSettings are those of the figure ppl_ratio; nil where there is none.
func (b *bench) shortSettings() settings {
	if b.short == 0 {
		return nil
	}
	return b.onWindows(min(shortWindow, b.window), b.short)
}

// perplexities measures all files on windows of the text, as llama-perplexity does.
func (b *bench) perplexities(ctx context.Context) error {
	return b.each(ctx, "ppl", b.perplexitySettings, func(s subject, set settings) (any, error) {
		out, _, err := b.command(ctx, "ppl", "--model", s.path, "--file", b.text, "--convention", "windows",
			"--ctx-size", set["c"], "--chunks", set["windows"], "--quiet")
		if err != nil {
			return nil, err
		}
		var got struct {
			PPL       *float64 `json:"ppl"`
			StdErr    *float64 `json:"ppl_stderr"`
			Sequences int      `json:"sequences"`
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			return nil, err
		}
		return estimate{*number(got.PPL), *number(got.StdErr), got.Sequences}, nil
	})
}

// number is what the program's JSON says; null is +Inf.
func number(x *float64) *jsonnum.Float {
	f := (*jsonnum.Float)(x)
	return jsonnum.Ptr(f.Value())
}

// divergenceSettings are those of the divergence.
func (b *bench) divergenceSettings(s subject) []settings {
	if s.method == original {
		return nil
	}
	return []settings{b.onWindows(b.window, b.kldWindows)}
}

// divergences measures the KL divergence of all files from the original. What that predicts is kept in the folder until all are done.
func (b *bench) divergences(ctx context.Context) error {
	missing := func() bool {
		return slices.ContainsFunc(b.subjects(), func(s subject) bool {
			return s.method != original && len(b.all(b.measured("kld", s, b.divergenceSettings(s)[0]))) == 0
		})
	}
	set := b.onWindows(b.window, b.kldWindows)
	base := filepath.Join(b.folder, "base-"+key{Part: "kld", Model: b.hash, Settings: set}.short()+".kld")
	err := b.each(ctx, "kld", b.divergenceSettings, func(s subject, set settings) (any, error) {
		args := []string{"compare", s.path, "--base-logits", base, "--no-speed", "--quiet"}
		if !exists(base) {
			args = []string{
				"compare", b.model, s.path, "--save-base-logits", base, "--no-speed", "--quiet", "--file", b.text,
				"--ctx-size", set["c"], "--chunks", set["windows"],
			}
		}
		out, _, err := b.command(ctx, args...)
		if err != nil {
			return nil, err
		}
		return readDivergence(out)
	})
	if err == nil && !missing() && exists(base) {
		err = os.Remove(base)
	}
	return err
}

// readDivergence takes that of the last model out of what compare prints.
func readDivergence(printed string) (estimate, error) {
	var got struct {
		Comparison struct {
			Sequences int
			Models    []struct {
				Divergence *struct {
					KLD    *float64 `json:"kld"`
					StdErr *float64 `json:"kld_stderr"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		return estimate{}, err
	}
	m := got.Comparison.Models
	if len(m) == 0 || m[len(m)-1].Divergence == nil {
		return estimate{}, errors.New("compare printed no divergence")
	}
	d := m[len(m)-1].Divergence
	return estimate{*number(d.KLD), *number(d.StdErr), got.Comparison.Sequences}, nil
}

// answers are what a model answered right, by task and item: by log-likelihood, and by acc_norm where the task has that.
type answers struct {
	Tasks []string     `json:"tasks"`
	Acc   tasks.Rights `json:"acc"`
	Norm  tasks.Rights `json:"norm"`
}

// taskSettings are those of the tasks: what the files hold, and how much of it is asked.
func (b *bench) taskSettings(files []evaluate.TaskFile) (settings, error) {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	hash, err := hashFiles(paths...)
	if err != nil {
		return nil, err
	}
	return settings{"tasks": hash[:12], "limit": strconv.Itoa(b.items)}, nil
}

// accuracies has all files answer the tasks.
func (b *bench) accuracies(ctx context.Context) error {
	files, err := measure.TaskFiles(b.tasks)
	if err != nil {
		return err
	}
	set, err := b.taskSettings(files)
	if err != nil {
		return err
	}
	one := func(subject) []settings { return []settings{set} }
	return b.each(ctx, "tasks", one, func(s subject, _ settings) (any, error) {
		out, err := evaluate.Tasks(ctx, evaluate.TasksJob{
			Spec: b.spec(s.path), Tasks: files, First: b.items, Batch: measure.Batch, UBatch: measure.UBatch,
		}, measure.Warnings{})
		if err != nil {
			return nil, err
		}
		a := answers{Acc: measure.Each(out.Results, measure.Right), Norm: measure.Each(out.Results, measure.RightHeadline)}
		for _, f := range files {
			a.Tasks = append(a.Tasks, f.Name)
		}
		return a, nil
	})
}

// pace is how fast a file runs beside the original, in turns: medians over repeats.
type pace struct {
	Generate     float64 `json:"generate"` // tokens per second over the original's
	Prompt       float64 `json:"prompt"`
	BaseGenerate float64 `json:"base_generate"` // the original's tokens per second
	BasePrompt   float64 `json:"base_prompt"`
	Memory       int64   `json:"memory"` // bytes of the context
	BaseMemory   int64   `json:"base_memory"`
	Spread       float64 `json:"generate_stddev"`
	Machine      string  `json:"machine"` // its processor, and how threads wait for each other, where that is set
}

// thisMachine is what speeds were measured on.
func thisMachine() string {
	const waiting = "OMP_WAIT_POLICY" // which small models feel
	if policy := os.Getenv(waiting); policy != "" {
		return fmt.Sprintf("%s with %s=%s", machine.CPUName(), waiting, policy)
	}
	return machine.CPUName()
}

// speedSettings are those of speeds. A folder is of one machine.
func (b *bench) speedSettings(s subject) []settings {
	if s.method == original {
		return nil
	}
	return []settings{{
		"c": strconv.Itoa(b.window), "threads": strconv.Itoa(b.threads), "repeats": strconv.Itoa(b.repeats),
	}}
}

// speeds times all files.
func (b *bench) speeds(ctx context.Context) error {
	return b.each(ctx, "speed", b.speedSettings, func(s subject, _ settings) (any, error) {
		before, after, err := measure.Speeds(ctx, b.spec(b.model), s.path, b.repeats)
		if err != nil {
			return nil, err
		}
		p := pace{
			Generate: after.GenerateRatio.Median, Prompt: after.PromptRatio.Median, Spread: after.GenerateRatio.StdDev,
			BaseGenerate: before.Generate.Median, BasePrompt: before.Prompt.Median, Machine: thisMachine(),
		}
		if p.BaseMemory, err = measure.ContextBytes(ctx, b.spec(b.model), b.model, b.window); err != nil {
			return nil, err
		}
		p.Memory, err = measure.ContextBytes(ctx, b.spec(s.path), s.path, b.window)
		return p, err
	})
}
