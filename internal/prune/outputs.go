package prune

import (
	"fmt"
	"os"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/publish"
	"github.com/ggufprune/ggufprune/internal/repairlog"
)

// inputs are the files that the job reads: nothing that is read is ever overwritten, with --force either.
func (c Common) inputs() []string {
	in := c.Spec.Files()
	if c.Text.File != "" {
		in = append(in, c.Text.File)
	}
	return append(in, c.Repair.Files...)
}

// inputs are also the tasks.
func (j SearchJob) inputs() []string {
	in := j.Common.inputs()
	for _, t := range j.Tasks.Tasks {
		in = append(in, t.Path)
	}
	return in
}

// Inputs are the files that the job reads.
func (j Job) Inputs() []string {
	in := j.alsoReads(j.SearchJob.inputs())
	if j.Compare != nil && j.Compare.Text.File != "" {
		in = append(in, j.Compare.Text.File)
	}
	if j.Compare != nil && j.Compare.RivalFile.Path != "" {
		in = append(in, gguf.Shards(j.Compare.RivalFile.Path)...)
	}
	return in
}

// inputs are the files that the job reads.
func (j ApplyJob) inputs() []string {
	in := j.alsoReads(j.Common.inputs())
	for _, path := range []string{j.Plan, j.Order} {
		if path != "" {
			in = append(in, path)
		}
	}
	if j.MaskOf != "" {
		in = append(in, gguf.Shards(j.MaskOf)...)
	}
	return in
}

// alsoReads adds what writing reads.
func (w Writing) alsoReads(in []string) []string {
	if w.Quantize.IMatrix != "" {
		in = append(in, w.Quantize.IMatrix)
	}
	return in
}

// check finds out whether what will be written can be written, before the work. plan is another file that the job writes, or "".
func (w Writing) check(c Common, inputs []string, plan string) error {
	if w.Output == "" {
		if err := outfile.CheckFolder("."); err != nil {
			return err
		}
		return w.Quantize.CheckOutputs(c.Force, []string{w.Output, plan}, inputs)
	}
	if err := outfile.Check(w.Output, c.Force, inputs...); err != nil {
		return err
	}
	if err := w.publication(c).CheckModelfile(inputs...); err != nil {
		return err
	}
	if c.Repair.Wanted() {
		if err := repairlog.Check(w.Output); err != nil {
			return err
		}
	}
	return w.Quantize.CheckOutputs(c.Force, []string{w.Output, plan}, inputs)
}

// publication is what Ollama gets of the written file.
func (w Writing) publication(c Common) publish.Request {
	return publish.Request{Ollama: w.Ollama, Ref: c.Spec.Ref, Output: w.Output, Force: c.Force}
}

// checkPlan finds out whether the plan and its journal can be written. output is the pruned file's name, or "".
func (j SearchJob) checkPlan(output string, inputs []string) error {
	if j.SavePlan == "" {
		return nil
	}
	if outfile.SamePath(j.SavePlan, output) {
		return fmt.Errorf("the plan and the output are the same file, %s; give them different names", j.SavePlan)
	}
	begun, err := checkJournal(find.JournalPath(j.SavePlan), inputs)
	if err != nil {
		return err
	}
	begun = begun || j.fitBegun(output)
	// A plan with a journal beside it is what an interrupted run saved: the search goes on, and writes it again. A journal of
	// another search is an error before that.
	if err := outfile.Check(j.SavePlan, j.Force || begun, inputs...); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// checkOrder finds out whether the order can be written.
func (j SearchJob) checkOrder() error {
	if j.Order == "" {
		return nil
	}
	for _, other := range []string{j.SavePlan, find.JournalPath(j.SavePlan)} {
		if outfile.SamePath(j.Order, other) {
			return fmt.Errorf("the order would be %s, which is the plan or its journal; give it another name", j.Order)
		}
	}
	if err := outfile.Check(j.Order, j.Force, j.inputs()...); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	return nil
}

// fitBegun reports whether the plan is that of an interrupted run of the same job, in which the fit came with the choice: the plan has the
// job's goal, and what the fit has done is still beside the output. Then the run goes on from there, and writes the same plan again.
func (j SearchJob) fitBegun(output string) bool {
	if j.Unit != blockmask.Width && j.Unit != blockmask.Auto || output == "" {
		return false
	}
	log, _ := repairlog.Paths(output)
	if info, err := os.Lstat(log); err != nil || !info.Mode().IsRegular() {
		return false
	}
	p, err := planfile.Read(j.SavePlan)
	return err == nil && p.Model.Path == j.Spec.Path && p.Settings.Unit == j.Unit && p.Settings.Goal == j.Goal && p.Settings.Seed == j.Method.Seed
}

// checkJournal returns an error if a journal cannot be at path, and whether there is one that holds anything.
func checkJournal(path string, inputs []string) (begun bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		if _, err := os.Lstat(path); err == nil {
			return false, fmt.Errorf("the journal would be %s, a link to nothing; give the plan another name", path)
		}
		return false, nil
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("the journal would be %s, which is no regular file; give the plan another name", path)
	}
	for _, in := range inputs {
		if outfile.SamePath(path, in) {
			return false, fmt.Errorf("the journal would be %s, which is an input; give the plan another name", path)
		}
	}
	return info.Size() > 0, nil
}
