package write

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/layout/naming"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Request asks for a file without some blocks.
type Request struct {
	Blocks     []layout.Block
	Removed    blockmask.Mask
	Layout     layout.Kind
	Provenance layout.Provenance

	Output  string   // "" is the name that the GGUF convention gives, in the current folder
	Inputs  []string // what the job reads beside the source: none of it is overwritten
	Force   bool     // replace an existing file
	Unique  bool     // where the default name is taken, take the next free one: a search went before
	NoCheck bool

	Text       corpus.Text // the check's
	Evaluation *perplexity.Corpus
}

// Result is a written and checked file.
type Result struct {
	gguf.Written
	Layout *layout.Result
	Check  *Check // nil with NoCheck; of the file before it was quantised

	Unrepaired int64 // bytes of the same file without the repair, before it was quantised; 0 where nothing was repaired

	Quantized *Quantized // nil where it was not
	IMatrix   string     // where the importance matrix of the file was written, "" for nowhere
}

// Writer writes files of one source. What it finds out of the quantiser's noise on the whole model serves all of them.
type Writer struct {
	Source    *source.Source
	Quantizer *quantize.Quantizer // nil: files are not quantised
	noise     *Noise              // of the quantiser on the whole model, once it is measured
}

// Write writes the source without the blocks of q.Removed and checks the file as the package comment says. The source's
// model is closed on the way. On an error, a *CheckError among them, no file is left; only when the importance matrix, which comes last,
// cannot get its name is the model there.
func (w *Writer) Write(ctx context.Context, q Request, sink progress.Sink) (*Result, error) {
	res, path, err := w.plan(q, sink)
	if err != nil {
		return nil, err
	}
	var p *probe
	var want, whole reading
	if !q.NoCheck {
		if p, want, whole, err = w.reference(ctx, q, sink); err != nil {
			return nil, err
		}
	}
	w.Source.CloseModel()

	pending, err := w.writeTemp(ctx, path, res, q.Force, sink)
	if err != nil {
		return nil, err
	}
	defer pending.Discard() //nolint:errcheck // nothing to discard once it is committed; else the first error counts
	out := &Result{Layout: res}
	if out.Unrepaired, err = w.unrepaired(q); err != nil {
		return nil, err
	}
	if p == nil {
		sink.Warnf("the written file was not checked (--no-check)")
	} else if out.Check, err = w.check(ctx, p, path, pending, want, res.Exact, sink); err != nil {
		return nil, err
	}
	if w.Quantizer.Quantizes() {
		file, err := w.writeQuantized(ctx, path, q.Force, quantizing{
			probe: p, masked: want, whole: whole, plain: pending, out: out, most: maxNoise(q.Removed.Len(), len(q.Blocks)),
		}, sink)
		if err != nil {
			return nil, err
		}
		defer file.Discard() //nolint:errcheck // as above
		if err := pending.Discard(); err != nil {
			return nil, err
		}
		pending = file
	}
	if err := w.commit(ctx, pending, out, q.Force); err != nil {
		return nil, err
	}
	return out, nil
}

// plan plans the file and says where it goes, which must be possible.
func (w *Writer) plan(q Request, sink progress.Sink) (res *layout.Result, path string, err error) {
	res, err = layout.Build(layout.Request{
		Source: w.Source.File, Blocks: q.Blocks, Removed: q.Removed, Kind: q.Layout, Provenance: q.Provenance, Changed: w.Source.FileWeights(), Types: w.Source.Types(),
	})
	if err != nil {
		return nil, "", err
	}
	for _, text := range res.Warnings {
		sink.Warnf("%s", text)
	}
	if path, err = q.path(w.DefaultName(res)); err != nil {
		return nil, "", err
	}
	return res, path, outfile.Check(path, q.Force, append(w.Source.File.Paths(), q.Inputs...)...)
}

// unrepaired is the size of the same file without the repair; 0 where nothing was repaired, or channels are gone: their fit is part of it.
func (w *Writer) unrepaired(q Request) (int64, error) {
	if len(w.Source.Weights()) == 0 || len(q.Removed.Parts()) > 0 {
		return 0, nil
	}
	plain := layout.Request{Source: w.Source.File, Blocks: q.Blocks, Removed: q.Removed, Kind: q.Layout, Provenance: q.Provenance}
	plain.Provenance.Repair = nil
	return layout.Size(plain)
}

// check holds the written file against the masked original. Where they differ, the file is removed and the error a *CheckError.
func (w *Writer) check(ctx context.Context, p *probe, path string, file *gguf.Pending, want reading, exact bool, sink progress.Sink) (*Check, error) {
	bar := sink.Start("check the written file", 1000)
	check, differs, err := p.compare(ctx, w.Source.Spec, file.Path(), want, exact, bar)
	bar.Stop()
	if err != nil {
		return nil, err
	}
	if differs != "" {
		if err := file.Discard(); err != nil {
			differs += "; " + err.Error()
		}
		hint := ""
		if !jsonnum.Finite(check.Masked.PPL) {
			hint = "those of the original without these blocks, in memory, are not, either: its file is damaged, or it cannot do without them"
		}
		return nil, &CheckError{Path: path, Text: differs, Check: check, Hint: hint}
	}
	return &check, nil
}

// commit gives the file its name, and then its importance matrix, where that is wanted. The matrix is written before: what can be wrong
// with it leaves no file.
func (w *Writer) commit(ctx context.Context, file *gguf.Pending, out *Result, force bool) error {
	matrix, err := w.Quantizer.WriteMatrix(ctx, out.Layout, force)
	if err != nil {
		return err
	}
	defer matrix.Discard() //nolint:errcheck // nothing to discard once it is committed
	if err := ctx.Err(); err != nil {
		return err
	}
	if out.Written, err = file.Commit(); err != nil {
		return err
	}
	if matrix != nil {
		out.IMatrix = w.Quantizer.IMatrixOut
	}
	return matrix.Commit()
}

// reference measures the masked original, and where the quantiser's noise is not known yet, the whole one.
func (w *Writer) reference(ctx context.Context, q Request, sink progress.Sink) (p *probe, masked, whole reading, err error) {
	p, err = newProbe(q.Text, q.Evaluation, w.Source.Model, slidingWindow(w.Source.File))
	if err != nil {
		return nil, masked, whole, err
	}
	if p.tooShort {
		sink.Warnf("the check's sequences of %d tokens are no longer than the model's attention window: which layers have it is not checked", p.seqLen)
	}
	session, err := w.Source.Session(ctx, p.nSeq, p.seqLen)
	if err != nil {
		return nil, masked, whole, err
	}
	defer session.Close()
	bar := sink.Start("measure the masked original", 1000)
	defer bar.Stop()
	if masked, err = p.reference(ctx, session, blockmask.New(q.Removed.Blocks()...), bar); err == nil && w.Quantizer.Quantizes() && w.noise == nil {
		if err := w.Source.Restore(session); err != nil {
			return nil, masked, whole, err
		}
		whole, err = p.withoutPPL().reference(ctx, session, nil, bar)
	}
	return p, masked, whole, err
}

// writeTemp writes the file under its temporary name.
func (w *Writer) writeTemp(ctx context.Context, path string, res *layout.Result, force bool, sink progress.Sink) (*gguf.Pending, error) {
	total := res.Plan.Size()
	bar := sink.Start("write", total)
	defer bar.Stop()
	return gguf.WriteTemp(ctx, path, res.Plan, gguf.WriteOptions{
		Force:    force,
		Progress: func(done, _ int64) { bar.Set(done, "") },
	})
}

// path returns the output's path: as asked for, or by the naming convention.
func (q Request) path(name string) (string, error) {
	if q.Output != "" {
		return q.Output, nil
	}
	if !q.Unique {
		return name, nil
	}
	stem := strings.TrimSuffix(name, ".gguf")
	for n := 2; n < 1000; n++ {
		if !q.taken(name) {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d.gguf", stem, n)
	}
	return "", fmt.Errorf("%w: %s and all numbered names after it; name the output with -o", gguf.ErrExists, filepath.Base(stem))
}

// taken reports whether the file cannot have the name: another has it, which must not be replaced.
func (q Request) taken(name string) bool {
	if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
		return false
	}
	return !q.Force || slices.ContainsFunc(q.Inputs, func(in string) bool { return outfile.SamePath(name, in) })
}

// slidingWindow returns the model's attention window in tokens, 0 if it has none.
func slidingWindow(f *gguf.File) int {
	n, ok, err := f.Uint(f.Arch() + ".attention.sliding_window")
	if err != nil || !ok || n > 1<<24 {
		return 0
	}
	return int(n)
}

// DefaultName is the name of an output for which none was given: by the GGUF convention.
func (w *Writer) DefaultName(res *layout.Result) string {
	known := ""
	if w.Source.Spec.Ref != nil {
		known = w.Source.Spec.Ref.Name
	}
	encoding := naming.Encoding(w.Source.File)
	if w.Quantizer.Quantizes() {
		encoding = w.Quantizer.Params.Type.Name
	}
	return naming.DefaultName(w.Source.File, res.Plan.KVs, known, encoding)
}
