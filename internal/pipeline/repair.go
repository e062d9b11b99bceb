package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/repair"
)

// Repair says how weights are re-fitted before a file is written.
type Repair struct {
	Method repair.Method // Off or "": not at all
	Files  []string      // texts to fit on; none: the job's calibration text and the one that comes with the program
	Tokens int           // positions in all
	Usual  bool          // nobody asked for it: where it cannot be done the file is written without
	Type   *gguf.Type    // what lower types of the tensors that it changes are raised to; nil: none are
}

// DefaultRepairTokens is how many positions a repair is fitted on and chosen by.
const DefaultRepairTokens = 36864

// repairBatch is how many positions run at once.
const repairBatch = 1024

func (r Repair) wanted() bool { return r.Method != "" && r.Method != repair.Off }

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

// repairer is what a repair needs of a session.
type repairer interface{ repair.Engine }

// Repair re-fits the loaded model without removed. From now on sessions of s run with the new weights.
func (s *Source) Repair(ctx context.Context, blocks []layout.Block, removed blockmask.Mask, r Repair, t Text, rep Reporter) (*repair.Result, string, error) {
	texts, err := r.texts(t)
	if err != nil {
		return nil, "", err
	}
	length := defaultContext(t.Context, s.Model.Info())
	nSeq := max(1, repairBatch/length)
	session, err := s.Session(ctx, nSeq, length)
	if err != nil {
		return nil, "", err
	}
	defer session.Close()
	engine, ok := session.(repairer)
	if !ok {
		return nil, "", errors.New("this engine cannot repair")
	}
	fit, held, err := repair.Batches(s.Model, texts, length, r.Tokens, nSeq, t.Seed)
	if err != nil {
		return nil, "", err
	}
	weights := Projections(s.File, blocks).(projections)
	weights.types = s.types
	todo := behindGap(blocks, removed)
	positions := (len(slices.Concat(fit...)) + len(slices.Concat(held...))) * length
	s.noteRepair(weights, todo, r, describeTexts(texts, positions), positions, rep)
	progress := startRepair(rep, len(todo))
	defer progress.Stop()
	res, err := repair.Run(ctx, engine, weights, repair.Request{
		Removed: removed, Method: r.Method, Fit: fit, Held: held, Progress: progress.block,
	})
	if errors.Is(err, repair.ErrNothing) {
		rep.Notef("repair: %v", err)
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	s.changed = res.Weights
	return res, describeTexts(texts, res.Positions), nil
}

// awareTokens are what the strategy aware fits and scores on.
const awareTokens = 12288

// aware is the strategy that scores what a repair leaves of the loss, and the text that it does so on.
func (s *Source) aware(q SearchRequest, session Session, set *perplexity.Set) (*repair.Aware, string, error) {
	engine, ok := session.(repairer)
	if !ok {
		return nil, "", errors.New("this engine cannot repair")
	}
	if q.Method.Metric != perplexity.NLL {
		return nil, "", errors.New("--strategy aware scores by perplexity; leave out --metric")
	}
	texts, err := q.Repair.texts(q.Text)
	if err != nil {
		return nil, "", err
	}
	a := &repair.Aware{Engine: engine, Admit: repair.DefaultAdmit}
	nSeq, length := q.Text.shape(set.Longest())
	a.Fit, a.Held, err = repair.Batches(s.Model, texts, length, awareTokens, nSeq, q.Text.Seed)
	tokens := 0
	for _, batch := range slices.Concat(a.Fit, a.Held) {
		tokens += len(batch) * length
	}
	return a, describeTexts(texts, tokens), err
}

// describeTexts names what was fitted on.
func describeTexts(texts []*perplexity.Corpus, tokens int) string {
	var names []string
	for _, c := range texts {
		names = append(names, c.Name)
	}
	return fmt.Sprintf("%s: %d tokens", strings.Join(names, " and "), tokens)
}

// repair repairs the source before q is written, and completes q.
func (j Job) repair(ctx context.Context, src *Source, q *WriteRequest, rep Reporter) (*repair.Result, error) {
	src.changed, src.types = nil, nil
	if !j.Repair.wanted() {
		return nil, nil
	}
	dir := j.scratchFolder()
	if err := src.raise(ctx, q.Blocks, q.Removed, j.Repair, dir, rep); err != nil {
		return nil, err
	}
	res, text, err := src.Repair(ctx, q.Blocks, q.Removed, j.Repair, j.Text, rep)
	if err != nil && j.Repair.Usual && ctx.Err() == nil {
		rep.Warnf("the model is not repaired: %v; --repair off does without from the beginning", err)
		res, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := src.lower(ctx, dir, rep); err != nil || res == nil {
		return nil, err
	}
	if res.Undone {
		rep.Warnf("the repair would have raised the loss on held-back text from %.4f to %.4f: nothing is changed", res.NLLBefore, res.NLLAfter)
		return res, nil
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
	return res, nil
}
