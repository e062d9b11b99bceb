package prune

import (
	"context"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// compare sets the written file beside the original. The file is complete and checked by now: that a comparison fails is a
// warning. Only an interruption is an error.
func (j Job) compare(ctx context.Context, out *Outcome, sink progress.Sink) error {
	if j.Compare == nil {
		return nil
	}
	q := *j.Compare
	q.Spec = j.Spec
	q.Models = []compare.Contender{{Label: "original", Path: j.Spec.Path}, {Label: compare.Pruned, Path: out.Write.Path}}
	if out.repaired() && len(out.Removed.Parts()) == 0 {
		f, err := source.OpenFile(out.Write.Path)
		if err != nil {
			return err
		}
		facts := compare.FileFacts{Arch: f.Arch(), Bytes: out.Write.Unrepaired, Params: f.Params()}
		f.Close()
		unrepaired := compare.Contender{Label: compare.Pruned, Path: j.Spec.Path, Removed: out.Removed, File: facts}
		q.Models = []compare.Contender{q.Models[0], unrepaired, {Label: compare.Repaired, Path: out.Write.Path}}
		q.Subject = 2
	}
	c, err := compare.Run(ctx, q, sink)
	if err == nil {
		out.Comparison = c
		return nil
	}
	if ctx.Err() != nil {
		sink.Notef("%s is complete and checked; only the comparison was interrupted", out.Write.Path)
		return err
	}
	sink.Warnf("%s is complete and checked, but it was not compared: %v", out.Write.Path, err)
	return nil
}

// repaired reports whether the written file has weights that the original has not.
func (o *Outcome) repaired() bool {
	return o.Repair != nil && !o.Repair.Undone && len(o.Repair.Weights) > 0
}
