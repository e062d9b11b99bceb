package report

import (
	"context"
	"slices"
)

// Job is what the command report is asked to do.
type Job struct {
	Plan    string // file of the plan
	Source  string // file of the whole model; "" is not read
	Pruned  string // file that was written from the plan; "" is none
	Files   Files
	Force   bool     // replace existing files
	Command []string // the command line
}

// Outcome is what was reported.
type Outcome struct {
	Steps   int // of the plan, as many as the report says are carried out
	Written *Written
}

// Run writes a report of a plan.
func Run(ctx context.Context, j Job) (*Outcome, error) {
	inputs := slices.DeleteFunc([]string{j.Plan, j.Source, j.Pruned}, func(path string) bool { return path == "" })
	if err := j.Files.Check(j.Force, inputs...); err != nil {
		return nil, err
	}
	in, err := OfPlan(ctx, j.Plan, j.Source, j.Pruned)
	if err != nil {
		return nil, err
	}
	in.Command = j.Command
	out := &Outcome{Steps: len(in.Plan.Steps)}
	if in.Steps > 0 {
		out.Steps = in.Steps
	}
	out.Written, err = j.Files.Write(in, j.Force, inputs...)
	return out, err
}
