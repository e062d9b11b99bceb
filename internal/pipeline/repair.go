package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Repair says how weights are re-fitted before a file is written.
type Repair struct {
	Method fit.Method // Off or "": not at all
	Files  []string   // texts to fit on; none: the job's calibration text and the one that comes with the program
	Tokens int        // positions in all
	Usual  bool       // nobody asked for it: where it cannot be done the file is written without
	Type   *gguf.Type // what lower types of the tensors that it changes are raised to; nil: none are
}

// DefaultRepairTokens is how many positions a repair is fitted on and chosen by.
const DefaultRepairTokens = 65536

// repairBatch is how many positions run at once.
const repairBatch = 1024

func (r Repair) wanted() bool { return r.Method != "" && r.Method != fit.Off }

// texts reads what the repair is fitted on. One kind of text alone makes the model worse on others.
func (r Repair) texts(t Text) ([]*perplexity.Corpus, error) {
	var out []*perplexity.Corpus
	for _, file := range r.Files {
		t.File = file
		c, err := t.Read()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) > 0 {
		return out, nil
	}
	given := t.File
	t.File = ""
	c, err := t.Read()
	if err != nil || given == "" {
		return []*perplexity.Corpus{c}, err
	}
	t.File = given
	own, err := t.Read()
	return []*perplexity.Corpus{own, c}, err
}

// RepairRequest asks for a repair of the loaded model.
type RepairRequest struct {
	Blocks  []layout.Block
	Removed blockmask.Mask
	Repair  Repair
	Text    Text
	Tool    string // version of this program
	Anew    bool   // what another repair of the same output has left is replaced
	Output  string // the file that the repair is for: what is done is kept beside it until it is written; "": in the current folder
}

// Repair re-fits the loaded model without what was removed. From now on sessions of s run with the new weights. It returns the log of
// what is done, nil if nothing is, for the caller to close, or to remove when the file is written.
func (s *Source) Repair(ctx context.Context, q RepairRequest, rep Reporter) (_ *fit.Result, text string, log *repairlog.Log, err error) {
	r, t := q.Repair, q.Text
	texts, err := r.texts(t)
	if err != nil {
		return nil, "", nil, err
	}
	length := defaultContext(t.Context, s.Model.Info())
	nSeq := max(1, repairBatch/length)
	session, err := s.Session(ctx, nSeq, length)
	if err != nil {
		return nil, "", nil, err
	}
	defer session.Close()
	engine, ok := session.(engine.BlockRunner)
	if !ok {
		return nil, "", nil, errors.New("this engine cannot repair")
	}
	fitted, held, err := fit.Batches(s.Model, texts, length, r.Tokens, nSeq, t.Seed)
	if err != nil {
		return nil, "", nil, err
	}
	request := fit.Request{Removed: q.Removed, Method: r.Method, Fit: fitted, Held: held}
	if log, err = s.repairLog(q, nSeq, fit.Digest(fitted, held), rep); err != nil {
		return nil, "", nil, err
	}
	if log != nil {
		request.Log = log
	}
	weights := Projections(s.File, q.Blocks).(projections)
	weights.types = s.types
	todo := behindGap(q.Blocks, q.Removed)
	positions := (len(slices.Concat(fitted...)) + len(slices.Concat(held...))) * length
	s.noteRepair(weights, todo, r, describeTexts(texts, positions), positions, rep)
	progress := startRepair(rep, len(todo))
	defer progress.Stop()
	request.Progress = progress.block
	res, err := fit.Run(ctx, engine, weights, request)
	if errors.Is(err, fit.ErrNothing) {
		rep.Notef("repair: %v", err)
		return nil, "", nil, log.Remove()
	}
	if err != nil {
		if !log.Kept() {
			return nil, "", nil, errors.Join(err, log.Remove())
		}
		rep.Notef("the blocks that are repaired so far are kept in %s: the same repair goes on from there", log.Path())
		return nil, "", nil, errors.Join(err, log.Close())
	}
	s.changed = res.Weights
	return res, describeTexts(texts, res.Positions), log, nil
}

// repairLog opens the log of a repair.
func (s *Source) repairLog(q RepairRequest, nSeq int, tokens string, rep Reporter) (*repairlog.Log, error) {
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
	}{q.Removed, q.Repair.Method, nSeq, s.Runtime.FlashAttn, q.Repair.Type})
	if err != nil {
		return nil, err
	}
	header := journal.Header{ModelSHA256: hash, TokensSHA256: tokens, Config: config, Tool: q.Tool, LlamaCpp: llamabind.LlamaTag}
	output := q.Output
	if output == "" {
		if output, err = s.unnamed(header); err != nil {
			return nil, err
		}
	}
	log, err := repairlog.Open(output, header, q.Anew)
	if err != nil {
		return nil, &repairLogError{err}
	}
	if log.Replaced {
		rep.Notef("what an interrupted repair of other blocks had left in %s is replaced", filepath.Base(log.Path()))
	}
	if log.Kept() {
		rep.Notef("the repair goes on from %s", filepath.Base(log.Path()))
	}
	return log, nil
}

// repairLogError says that what a repair is done with cannot be kept. That is no reason to do without the repair.
type repairLogError struct{ error }

func (e *repairLogError) Unwrap() error { return e.error }

// unnamed is what stands for the output where that gets its name only when it is written: the same for the same repair.
func (s *Source) unnamed(h journal.Header) (string, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%.4x", strings.TrimSuffix(filepath.Base(s.Runtime.Path), ".gguf"), sha256.Sum256(data)), nil
}

// describeTexts names what was fitted on.
func describeTexts(texts []*perplexity.Corpus, tokens int) string {
	var names []string
	for _, c := range texts {
		names = append(names, c.Name)
	}
	return fmt.Sprintf("%s: %d tokens", strings.Join(names, " and "), tokens)
}

// repair repairs the source before q is written, and completes q. The log is nil, or to be closed; see [Source.Repair].
func (j Job) repair(ctx context.Context, src *Source, q *WriteRequest, rep Reporter) (*fit.Result, *repairlog.Log, error) {
	src.changed, src.types = nil, nil
	if !j.Repair.wanted() {
		return nil, nil, nil
	}
	if err := src.unmap(ctx); err != nil {
		if !j.Repair.Usual || ctx.Err() != nil {
			return nil, nil, err
		}
		rep.Warnf("the model is not repaired, since it cannot be loaded without mapping it: %v; --repair off does without from the beginning", err)
		src.Runtime.Model.NoMmap = false
		return nil, nil, src.reload(ctx)
	}
	dir := j.scratchFolder()
	if err := src.raise(ctx, q.Blocks, q.Removed, j.Repair, dir, rep); err != nil {
		return nil, nil, err
	}
	res, text, log, err := src.Repair(ctx, RepairRequest{
		Blocks: q.Blocks, Removed: q.Removed, Repair: j.Repair, Text: j.Text, Tool: j.Tool, Anew: j.searched, Output: j.Output,
	}, rep)
	var kept *repairLogError
	if err != nil && j.Repair.Usual && ctx.Err() == nil && !errors.As(err, &kept) {
		rep.Warnf("the model is not repaired: %v; --repair off does without from the beginning", err)
		res, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := src.lower(ctx, dir, rep); err != nil || res == nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	if res.Undone {
		rep.Warnf("the repair would have raised the loss on held-back text from %.4f to %.4f: nothing is changed", res.NLLBefore, res.NLLAfter)
		return res, log, nil
	}
	record := &layout.RepairRecord{Calibration: text, Positions: res.Positions, NLLBefore: res.NLLBefore, NLLAfter: res.NLLAfter}
	for _, b := range res.Blocks {
		if b.Skipped == "" {
			record.Tensors = append(record.Tensors, b.Tensor)
			record.Methods = append(record.Methods, string(b.Method))
			record.Lambdas = append(record.Lambdas, b.Lambda)
			if j.Repair.Type != nil {
				record.Types = append(record.Types, src.typeOf(b.Tensor).Name())
			}
		}
	}
	if len(record.Tensors) > 0 {
		q.Provenance.Repair = record
	}
	return res, log, nil
}
