package prune

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/search"
)

// ApplyAll writes one file of a plan for each goal, or for each step if there are no goals, into the folder j.Output ("" is the current
// one). Each is checked like any other; done is told of it. What the names and goals make impossible shows before the first
// is written; those that were written before a failure stay.
func ApplyAll(ctx context.Context, j ApplyJob, goals []search.Goal, sink progress.Sink, done func(*Outcome)) error {
	a, err := openApply(ctx, j, sink, false)
	if err != nil {
		return err
	}
	defer a.src.Close()
	if a.plan == nil {
		return errors.New("a mask makes one file; give a plan for several")
	}
	files, err := a.series(goals, sink)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := a.writeOne(ctx, f, sink, done); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f.path), err)
		}
	}
	return nil
}

// planned is a file to be: the plan's first steps.
type planned struct {
	steps int
	path  string
}

// series chooses steps and names.
func (a *application) series(goals []search.Goal, sink progress.Sink) ([]planned, error) {
	var steps []int
	for _, g := range goals {
		k, err := a.steps(g)
		if err != nil {
			return nil, err
		}
		if slices.Contains(steps, k) {
			sink.Warnf("two of the sizes need the same %d steps of the plan: one file is written for both", k)
			continue
		}
		steps = append(steps, k)
	}
	if len(goals) == 0 {
		for k := range a.plan.Steps {
			steps = append(steps, k+1)
		}
	}
	if len(steps) == 0 {
		return nil, errNothing
	}
	return a.name(steps)
}

// name gives each file its name; where the convention has the same name for two, the number of blocks tells them apart, or that of steps
// where parts of blocks go.
func (a *application) name(steps []int) ([]planned, error) {
	names := map[string]int{}
	files := make([]planned, len(steps))
	for i, k := range steps {
		name, err := a.defaultName(a.plan.Mask(k), a.provenance(k))
		if err != nil {
			return nil, fmt.Errorf("%d steps: %w", k, err)
		}
		files[i] = planned{k, name}
		names[files[i].path]++
	}
	for i, f := range files {
		if names[f.path] > 1 {
			what := fmt.Sprintf("%d-blocks-removed", a.plan.Mask(f.steps).Len())
			if a.plan.Mask(len(a.plan.Steps)).WholeBlocks() != nil {
				what = fmt.Sprintf("%d-steps", f.steps)
			}
			f.path = fmt.Sprintf("%s-%s.gguf", strings.TrimSuffix(f.path, ".gguf"), what)
		}
		files[i].path = filepath.Join(a.job.Output, f.path)
		w := a.job.Writing
		w.Output = files[i].path
		if err := w.check(a.job.Common, a.files.inputs, ""); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (a *application) writeOne(ctx context.Context, f planned, sink progress.Sink, done func(*Outcome)) error {
	if err := a.src.Reload(ctx); err != nil {
		return err
	}
	out := &Outcome{
		Model: a.src.Facts(a.blocks, a.hash), Plan: a.plan, Steps: a.plan.Steps[:f.steps], Removed: a.plan.Mask(f.steps),
	}
	a.files.Output = f.path
	err := a.files.write(ctx, a.blocks, out.Removed, a.provenance(f.steps), out)
	if err != nil {
		return err
	}
	if a.job.NoCheck {
		sink.Notef("%s is written", f.path)
	} else {
		sink.Notef("%s is written and checked", f.path)
	}
	done(out)
	return nil
}
