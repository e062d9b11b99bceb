package prune

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
)

// fileWriter repairs a source and writes and checks the file that is made of it, or several one after the other.
type fileWriter struct {
	Common
	Writing
	writer   *write.Writer
	inputs   []string // of the job: none is overwritten
	sink     progress.Sink
	searched bool // this run has searched for what is written
}

// newFileWriter finds what of the job is impossible for the source, before any work.
func newFileWriter(ctx context.Context, src *source.Source, c Common, w Writing, inputs []string, sink progress.Sink) (*fileWriter, error) {
	if err := c.Repair.CheckType(src.File); err != nil {
		return nil, err
	}
	z, err := w.Quantize.Prepare(ctx, c.Spec.Engine, src.File, src.Model.Info().NLayer)
	if err != nil {
		return nil, err
	}
	c.Text.Context = source.DefaultContext(c.Text.Context, src.Model.Info())
	return &fileWriter{Common: c, Writing: w, writer: &write.Writer{Source: src, Quantizer: z}, inputs: inputs, sink: sink}, nil
}

// write repairs, writes, checks and publishes the source without removed, and tells out of it.
func (w *fileWriter) write(ctx context.Context, blocks []layout.Block, removed blockmask.Mask, p layout.Provenance, out *Outcome) error {
	// Where no file can hold what is left of the FFNs, that shows before they are fitted.
	if removed.WholeBlocks() != nil {
		if _, err := layout.Outline(layout.Request{Source: w.writer.Source.File, Blocks: blocks, Removed: removed, Kind: w.Layout, Provenance: p}); err != nil {
			return err
		}
	}
	done, err := repair.Run(ctx, w.writer.Source, repair.Request{
		Blocks: blocks, Removed: removed, Options: w.Repair, Text: w.Text, Tool: w.Tool, Anew: w.searched, Output: w.Output,
	}, w.sink)
	if err != nil {
		return err
	}
	if out.Plan != nil && !w.searched { // what it says of kinds of text and tasks was of another fit
		anew := *out.Plan
		anew.Kinds, anew.Tasks = done.Kinds, nil
		out.Plan = &anew
	}
	return w.writeFitted(ctx, blocks, removed, done, p, out)
}

// writeFitted is write where the source is repaired already.
func (w *fileWriter) writeFitted(
	ctx context.Context, blocks []layout.Block, removed blockmask.Mask, done *repair.Done, p layout.Provenance, out *Outcome,
) error {
	evaluation, err := w.Text.ReadEvaluation()
	if err != nil {
		return errors.Join(err, done.Close())
	}
	defer done.Close() //nolint:errcheck // nothing to close once it is removed; else the first error counts
	out.Repair, out.Raised = done.Result, done.Raised
	if done.Record != nil {
		p.Repair = done.Record
	}
	out.Write, err = w.writer.Write(ctx, write.Request{
		Blocks: blocks, Removed: removed, Layout: w.Layout, Provenance: p, Output: w.Output, Inputs: w.inputs, Force: w.Force, Unique: w.searched,
		NoCheck: w.NoCheck, Text: w.Text, Evaluation: evaluation,
	}, w.sink)
	if err != nil {
		return err
	}
	if err := done.Remove(); err != nil {
		w.sink.Warnf("what was kept of the finished repair could not be removed: %v", err)
	}
	out.Publish = w.publication(w.Common).Publish(ctx, out.Write.Written, w.sink)
	return nil
}
