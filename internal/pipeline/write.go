package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

// WriteRequest asks for a file without some blocks.
type WriteRequest struct {
	Blocks     []layout.Block
	Removed    blockmask.Mask
	Layout     layout.Kind
	Provenance layout.Provenance

	Output  string // "" is the name that the GGUF convention gives, in the current folder
	Force   bool   // replace an existing file
	Unique  bool   // where the default name is taken, take the next free one: a search went before
	NoCheck bool

	Text       Text // the check's
	Evaluation *perplexity.Corpus

	quantizer *quantizer // nil: the file is not quantised
}

// WriteResult is a written and checked file.
type WriteResult struct {
	gguf.Written
	Layout *layout.Result
	Check  *Check // nil with NoCheck; of the file before it was quantised

	Unrepaired int64 // bytes of the same file without the repair, before it was quantised; 0 where nothing was repaired

	Quantized *Quantized // nil where it was not
	IMatrix   string     // where the importance matrix of the file was written, "" for nowhere
}

// Write writes the source without the blocks of q.Removed and checks the file as the package comment says. The source's
// model is closed on the way. On an error, a *CheckError among them, no file is left.
func (s *Source) Write(ctx context.Context, q WriteRequest, rep Reporter) (*WriteResult, error) {
	res, err := layout.Build(layout.Request{
		Source: s.File, Blocks: q.Blocks, Removed: q.Removed, Kind: q.Layout, Provenance: q.Provenance, Changed: s.changed, Types: s.types,
	})
	if err != nil {
		return nil, err
	}
	for _, w := range res.Warnings {
		rep.Warnf("%s", w)
	}
	path, err := q.path(s.defaultName(res, q.quantizer))
	if err != nil {
		return nil, err
	}
	if err := outfile.Check(path, q.Force, s.File.Paths()...); err != nil {
		return nil, err
	}
	var p *probe
	var want, whole reading
	if !q.NoCheck {
		if p, want, whole, err = s.reference(ctx, q, rep); err != nil {
			return nil, err
		}
	}
	s.CloseModel()

	pending, err := s.writeTemp(ctx, path, res, q.Force, rep)
	if err != nil {
		return nil, err
	}
	defer pending.Discard() //nolint:errcheck // nothing to discard once it is committed; else the first error counts
	out := &WriteResult{Layout: res}
	if len(s.changed) > 0 {
		plain := layout.Request{Source: s.File, Blocks: q.Blocks, Removed: q.Removed, Kind: q.Layout, Provenance: q.Provenance}
		plain.Provenance.Repair = nil
		if out.Unrepaired, err = layout.Size(plain); err != nil {
			return nil, err
		}
	}
	if p != nil {
		progress := rep.Start("check the written file", 1000)
		check, differs, err := p.compare(ctx, s.Runtime, pending.Path(), want, res.Exact, progress)
		progress.Stop()
		if err != nil {
			return nil, err
		}
		if differs != "" {
			if err := pending.Discard(); err != nil {
				differs += "; " + err.Error()
			}
			return nil, &CheckError{Path: path, Text: differs, Check: check}
		}
		out.Check = &check
	} else {
		rep.Warnf("the written file was not checked (--no-check)")
	}
	if q.quantizer.types() {
		file, err := s.writeQuantized(ctx, path, q, quantizing{
			probe: p, masked: want, whole: whole, plain: pending, out: out, most: MaxNoise(q.Removed.Len(), len(q.Blocks)),
		}, rep)
		if err != nil {
			return nil, err
		}
		defer file.Discard() //nolint:errcheck // as above
		if err := pending.Discard(); err != nil {
			return nil, err
		}
		pending = file
	}
	matrix, err := q.quantizer.writeMatrix(ctx, res, q.Force)
	if err != nil {
		return nil, err
	}
	defer matrix.Discard() //nolint:errcheck // as above
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if out.Written, err = pending.Commit(); err != nil {
		return nil, err
	}
	if matrix != nil {
		out.IMatrix = q.quantizer.IMatrixOut
	}
	return out, matrix.commit()
}

// reference measures the masked original, and where the quantiser's noise is not known yet, the whole one.
func (s *Source) reference(ctx context.Context, q WriteRequest, rep Reporter) (p *probe, masked, whole reading, err error) {
	p, err = newProbe(q.Text, q.Evaluation, s.Model, slidingWindow(s.File))
	if err != nil {
		return nil, masked, whole, err
	}
	if p.tooShort {
		rep.Warnf("the check's sequences of %d tokens are no longer than the model's attention window: which layers have it is not checked", p.seqLen)
	}
	session, err := s.Session(ctx, p.nSeq, p.seqLen)
	if err != nil {
		return nil, masked, whole, err
	}
	defer session.Close()
	progress := rep.Start("measure the masked original", 1000)
	defer progress.Stop()
	if masked, err = p.reference(ctx, session, q.Removed, progress); err == nil && q.quantizer.types() && s.noise == nil {
		if err := s.unchange(session); err != nil {
			return nil, masked, whole, err
		}
		whole, err = p.withoutPPL().reference(ctx, session, nil, progress)
	}
	return p, masked, whole, err
}

// writeTemp writes the file under its temporary name.
func (s *Source) writeTemp(ctx context.Context, path string, res *layout.Result, force bool, rep Reporter) (*gguf.Pending, error) {
	total := res.Plan.Size()
	progress := rep.Start("write", total)
	defer progress.Stop()
	return gguf.WriteTemp(ctx, path, res.Plan, gguf.WriteOptions{
		Force:    force,
		Progress: func(done, _ int64) { progress.Set(done, "") },
	})
}

// path returns the output's path: as asked for, or by the naming convention.
func (q WriteRequest) path(name string) (string, error) {
	if q.Output != "" {
		return q.Output, nil
	}
	if !q.Unique || q.Force {
		return name, nil
	}
	stem := strings.TrimSuffix(name, ".gguf")
	for n := 2; n < 1000; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d.gguf", stem, n)
	}
	return "", fmt.Errorf("%w: %s and all numbered names after it; name the output with -o", gguf.ErrExists, filepath.Base(stem))
}

// slidingWindow returns the model's attention window in tokens, 0 if it has none.
func slidingWindow(f *gguf.File) int {
	n, ok, err := f.Uint(f.Arch() + ".attention.sliding_window")
	if err != nil || !ok || n > 1<<24 {
		return 0
	}
	return int(n)
}
