package repair

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Run re-fits what stays of the loaded model without q.Removed. From now on sessions of src run with the new weights. Where the
// repair is only the usual (q.Options.Usual), what cannot be done is a warning; but where channels go it is an error, since without
// the fit the model would lose much more. With no repair wanted, the channels that go are cut off and nothing is fitted. The caller
// closes what is returned, or removes it when the file is written.
func Run(ctx context.Context, src *source.Source, q Request, sink progress.Sink) (*Done, error) {
	r := q.Options
	r.Usual = r.Usual && !q.narrow()
	src.SetWeights(nil, nil)
	if err := q.check(); err != nil {
		return nil, err
	}
	if !r.Wanted() {
		return &Done{}, q.cutOff(ctx, src, sink)
	}
	if q.narrow() && q.Own == nil { // before the model is loaded otherwise: a search of shapes has it written now, too
		own, err := LoadOwn(ctx, src, q, sink)
		if err != nil {
			return nil, err
		}
		q.Own = own
	}
	if err := src.Unmap(ctx); err != nil {
		if !r.Usual || ctx.Err() != nil {
			return nil, err
		}
		sink.Warnf("the model is not repaired, since it cannot be loaded without mapping it: %v; --repair off does without from the beginning", err)
		src.Spec.Model.NoMmap = false
		return &Done{}, src.Reload(ctx)
	}
	dir := retype.ScratchFolder(q.Output)
	if err := raise(ctx, src, q, dir, sink); err != nil {
		return nil, err
	}
	if q.Twin == nil && !q.Decided {
		twin, err := r.Twin(src).Load(ctx, src, q.Output, sink)
		if err != nil {
			return nil, err
		}
		q.Twin = twin
	}
	res, m, log, err := refit(ctx, src, q, sink)
	var kept *logError
	if err != nil && r.Usual && ctx.Err() == nil && !errors.As(err, &kept) {
		sink.Warnf("the model is not repaired: %v; --repair off does without from the beginning", err)
		res, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if q.Twin != nil && !q.narrow() {
		if err := src.LoadPlain(ctx); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	if err := lower(ctx, src, dir, sink); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if res != nil && q.narrow() && !q.Trial {
		if err := loadCut(ctx, src, dir, res.Weights, slices.Collect(maps.Values(res.Narrowed)), sink); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	if res == nil {
		return &Done{Raised: src.Types()}, log.Close()
	}
	out := &Done{Result: res, Kinds: m.kinds(res), Raised: src.Types(), log: log}
	if res.Undone {
		sink.Warnf("the repair would have raised the loss on held-back text from %.4f to %.4f: nothing is changed", res.NLLBefore, res.NLLAfter)
		return out, nil
	}
	out.Record = record(src, res, describe(m.materials, res.Positions), r.Type != nil)
	return out, nil
}

// record is what the written file says of a repair; nil where nothing is changed.
func record(src *source.Source, res *fit.Result, text string, types bool) *layout.RepairRecord {
	out := &layout.RepairRecord{Calibration: text, Positions: res.Positions, NLLBefore: res.NLLBefore, NLLAfter: res.NLLAfter}
	for _, b := range res.Blocks {
		if b.Skipped != "" {
			continue
		}
		out.Tensors = append(out.Tensors, b.Tensor)
		out.Methods = append(out.Methods, string(b.Method))
		out.Lambdas = append(out.Lambdas, b.Lambda)
		if types {
			out.Types = append(out.Types, src.TypeOf(b.Tensor).Name())
		}
	}
	if len(out.Tensors) == 0 {
		return nil
	}
	return out
}

// refit re-fits the loaded model without what was removed. From now on sessions of s run with the new weights. It returns the log of
// what is done, nil if nothing is.
func refit(ctx context.Context, s *source.Source, q Request, sink progress.Sink) (_ *fit.Result, m *text, log *repairlog.Log, err error) {
	r := q.Options
	m, err = q.open(ctx, s, q.narrow())
	if err != nil {
		return nil, nil, nil, err
	}
	defer m.session.Close()
	if q.Trial {
		m.shorten()
	}
	runner, nSeq, pieces := m.runner, m.nSeq, m.pieces
	request := fit.Request{
		Removed: blockmask.New(q.Removed.Blocks()...), Widths: q.Widths, Kept: q.kept(), Method: r.Method, Fit: pieces.Fit, Held: pieces.Held, Trial: q.Trial, Judge: q.Judge, Spent: q.Spent,
	}
	if q.narrow() {
		request.HeldOf = pieces.HeldOf
	}
	if q.Compare {
		for _, batch := range pieces.Held {
			compared, err := perplexity.Compared(ctx, m.session, batch, perplexity.TopTokens)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("what the whole model predicts: %w", err)
			}
			request.Compared = append(request.Compared, compared)
		}
	}
	if !q.Trial {
		if log, err = newLog(s, q, nSeq, fit.Digest(pieces.Fit, pieces.Held), sink); err != nil {
			return nil, nil, nil, err
		}
		request.Log = log
	}
	weights := NewProjections(s.Spec.Engine, s.File, q.Blocks).On(q.Twin)
	weights.types = s.Types()
	todo := q.todo()
	positions := pieces.Positions()
	request.Memory = memory(s, q.Twin, positions)
	label := "try a fit"
	if !q.Trial {
		noteMemory(weights, q, request.Memory, sink)
		label = "repair"
		noteRepair(weights, todo, r, describe(m.materials, positions), positions, sink)
	}
	bar := startBar(sink, label, len(todo))
	defer bar.Stop()
	request.Progress = bar.block
	res, err := fit.Run(ctx, runner, weights, request)
	if errors.Is(err, fit.ErrNothing) {
		sink.Notef("repair: %v", err)
		return nil, nil, nil, log.Remove()
	}
	if err != nil {
		if !log.Kept() {
			return nil, nil, nil, errors.Join(err, log.Remove())
		}
		sink.Notef("the blocks that are repaired so far are kept in %s: the same repair goes on from there", log.Path())
		return nil, nil, nil, errors.Join(err, log.Close())
	}
	if !q.Trial {
		s.SetWeights(res.Weights, res.Weights)
	}
	return res, m, log, nil
}

// newLog opens the log of a repair.
func newLog(s *source.Source, q Request, nSeq int, tokens string, sink progress.Sink) (*repairlog.Log, error) {
	hash, err := s.SHA256()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(struct {
		Removed blockmask.Mask `json:"removed"`
		Method  fit.Method     `json:"method"`
		Batch   int            `json:"batch"`
		Flash   string         `json:"flash_attn"`
		Type    *gguf.Type     `json:"type,omitempty"`
		Widths  map[string]int `json:"widths,omitempty"`
		Twin    bool           `json:"twin,omitempty"`
	}{q.Removed, q.Options.Method, nSeq, s.Spec.FlashAttn, q.Options.Type, q.widths(), q.Twin != nil})
	if err != nil {
		return nil, err
	}
	header := journal.Header{ModelSHA256: hash, TokensSHA256: tokens, Config: config, Tool: q.Tool, LlamaCpp: s.Spec.Engine.Version().Tag}
	output := q.Output
	if output == "" {
		if output, err = unnamed(s, header); err != nil {
			return nil, err
		}
	}
	log, err := repairlog.Open(output, header, q.Anew)
	if err != nil {
		return nil, &logError{err}
	}
	if log.Replaced {
		sink.Notef("what an interrupted repair of something else had left in %s is replaced", filepath.Base(log.Path()))
	}
	if log.Kept() {
		sink.Notef("the repair goes on from %s", filepath.Base(log.Path()))
	}
	return log, nil
}

// logError says that what a repair is done with cannot be kept. That is no reason to do without the repair.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// unnamed is what stands for the output where that gets its name only when it is written: the same for the same repair.
func unnamed(s *source.Source, h journal.Header) (string, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%.4x", strings.TrimSuffix(filepath.Base(s.Spec.Path), ".gguf"), sha256.Sum256(data)), nil
}
