package prune

import (
	"errors"

	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/write"
)

// PlannedError is the error of a job whose plan is there and whose file is not: an [ApplyJob] of the plan makes the file, without the
// search.
type PlannedError struct {
	Saved  bool           // by this job; else it was there before
	Repair repair.Options // of the file; one that was interrupted goes on with these

	err error
}

func (e *PlannedError) Error() string { return e.err.Error() }
func (e *PlannedError) Unwrap() error { return e.err }

// planThere makes err a PlannedError where what is in the way is a plan of the job's model.
func (j SearchJob) planThere(err error) error {
	if !errors.Is(err, outfile.ErrExists) {
		return err
	}
	if p, rerr := planfile.Read(j.SavePlan); rerr != nil || p.Model.Path != j.Spec.Path {
		return err
	}
	return &PlannedError{Repair: j.Repair, err: err}
}

// planSaved makes err, why no file was written, a PlannedError where the plan is saved. What fails its check would do so again.
func (j SearchJob) planSaved(err error, r repair.Options) error {
	if failed := (*write.CheckError)(nil); err == nil || j.SavePlan == "" || errors.As(err, &failed) {
		return err
	}
	return &PlannedError{Saved: true, Repair: r, err: err}
}
