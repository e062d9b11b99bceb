package prune

import (
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/report"
)

// ReportInput is what a report says of the job's outcome. plan is where the plan was saved.
func (o *Outcome) ReportInput(plan string, command []string) (report.Input, error) {
	in := report.Input{Plan: o.Plan, PlanPath: plan, Steps: len(o.Steps), Command: command}
	source, err := gguf.Open(o.Model.Path)
	if err != nil {
		return in, err
	}
	defer source.Close()
	in.Source = report.Describe(source, o.Model.Path)
	in.Source.SHA256 = o.Model.SHA256
	if o.Write == nil {
		return in, nil
	}
	pruned, err := gguf.Open(o.Write.Path)
	if err != nil {
		return in, err
	}
	defer pruned.Close()
	in.Pruned = report.Describe(pruned, o.Write.Path)
	in.Pruned.SHA256 = o.Write.SHA256
	if k := o.Write.Check; k != nil {
		in.Check = &report.Check{
			Positions: k.Rows, MaxAbsDiff: k.MaxAbsDiff, NMSE: k.NMSE, Text: k.Text, Convention: string(k.Written.Convention), Context: k.Context,
			Sequences: k.Written.Sequences, Masked: k.Masked.PPL, Written: k.Written.PPL, StdErr: k.Written.StdErr,
		}
	}
	return in, nil
}
