package searchbench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// options are what the command line says.
type options struct {
	model, calib, heldOut string
	seeds, n, window      int
	judge, from           int
	threads, kills        int
	journal               string
	journals              string
}

// rig is an open model with the text that it is searched and judged on.
type rig struct {
	options
	model   *llamabind.Model
	session *llamabind.Session
	calib   *perplexity.Corpus
	judge   *perplexity.Evaluator // held-out text
	judgeKL *perplexity.Evaluator // the same, by KL divergence
	heads   map[perplexity.Metric]float64
	figures []string
	open    map[string]*journal.Journal[search.Measurement]
}

// batchSeqs sequences run at once.
const batchSeqs = 4

func newRig(ctx context.Context, o options) (*rig, error) {
	m, err := llamabind.LoadModel(ctx, o.model, engine.ModelParams{})
	if err != nil {
		return nil, err
	}
	r := &rig{options: o, model: m, heads: map[perplexity.Metric]float64{}, open: map[string]*journal.Journal[search.Measurement]{}}
	r.session, err = m.NewSession(ctx, engine.SessionParams{NSeq: batchSeqs, SeqLen: o.window, Threads: o.threads})
	if err != nil {
		return nil, err
	}
	if r.calib, err = readText(o.calib, "calibration"); err != nil {
		return nil, err
	}
	text, err := readText(o.heldOut, "held-out")
	if err != nil {
		return nil, err
	}
	set, err := perplexity.NewSet(perplexity.Samples, text, m, perplexity.SetOptions{Context: o.window, Max: o.judge})
	if err != nil {
		return nil, err
	}
	r.judge, err = perplexity.NewEvaluator(r.session, set)
	return r, err
}

func (r *rig) close() {
	r.session.Close()
	r.model.Close()
}

// figure keeps a figure for the end.
func (r *rig) figure(name string, value float64) {
	r.figures = append(r.figures, fmt.Sprintf("figure %s %.4g", name, value))
}

// readText reads plain text, or the built-in text of that kind.
func readText(path, kind string) (*perplexity.Corpus, error) {
	switch {
	case path != "":
		return perplexity.ReadFile(path, perplexity.Auto)
	case kind == "held-out":
		return perplexity.Read(bytes.NewReader(corpus.HeldOut()), "the built-in held-out text", perplexity.Plain)
	}
	c, err := perplexity.Read(bytes.NewReader(corpus.Calibration()), "the built-in calibration text", perplexity.Auto)
	if err != nil {
		return nil, err
	}
	// As one text, so that all sequences have the same length and costs are those of full ones.
	return &perplexity.Corpus{Name: c.Name, Documents: []string{c.Text()}, Continuous: true}, nil
}

// set returns n sequences of the calibration text, drawn by seed, for a metric.
func (r *rig) set(ctx context.Context, metric perplexity.Metric, n int, seed uint64) (*perplexity.Set, error) {
	set, err := perplexity.NewSet(perplexity.Samples, r.calib, r.model, perplexity.SetOptions{Context: r.window, Max: n, Seed: seed})
	if err != nil || metric != perplexity.KLD {
		return set, err
	}
	return perplexity.WithReferences(ctx, r.session, set, perplexity.TopTokens, nil)
}

// ledger returns a ledger on such a set. journal may be nil.
func (r *rig) ledger(ctx context.Context, metric perplexity.Metric, n int, seed uint64, measured *journal.Journal[search.Measurement]) (*search.Ledger, error) {
	set, err := r.set(ctx, metric, n, seed)
	if err != nil {
		return nil, err
	}
	return r.ledgerOf(ctx, set, measured)
}

// ledgerOf returns a ledger on a set.
func (r *rig) ledgerOf(ctx context.Context, set *perplexity.Set, measured *journal.Journal[search.Measurement]) (*search.Ledger, error) {
	v, err := perplexity.NewEvaluator(r.session, set)
	if err != nil {
		return nil, err
	}
	head, err := r.head(ctx, set)
	if err != nil {
		return nil, err
	}
	if measured == nil && r.journals != "" {
		if measured, err = r.reopen(set); err != nil {
			return nil, err
		}
	}
	return search.NewLedger(v, search.Cost{Blocks: r.session.Blocks(), Head: head}, measured, ""), nil
}

// reopen returns the journal of a set in the folder of journals, with all that it has by now.
func (r *rig) reopen(set *perplexity.Set) (*journal.Journal[search.Measurement], error) {
	path := filepath.Join(r.journals, set.SHA256()[:16]+"-"+set.Metric.String()+".journal")
	if err := r.open[path].Close(); err != nil {
		return nil, err
	}
	j, err := journal.Open[search.Measurement](path, journal.Header{TokensSHA256: set.SHA256(), Tool: "searchbench", LlamaCpp: llamabind.LlamaTag, Config: json.RawMessage("{}")}, journal.Owner{Job: "search", File: "journal"})
	r.open[path] = j
	return j, err
}

// head measures what the output head and the loss take, in blocks: the CPU time of a pass without any block against that of a
// whole pass. The least of five counts.
func (r *rig) head(ctx context.Context, set *perplexity.Set) (float64, error) {
	if h, ok := r.heads[set.Metric]; ok {
		return h, nil
	}
	batch := set.Sequences[:min(batchSeqs, len(set.Sequences))]
	all := blockmask.New(r.session.Blocks()...)
	var least [2]float64
	for range 5 {
		for i, m := range []blockmask.Mask{nil, all} {
			before := machine.CPUSeconds()
			if err := r.session.Eval(ctx, batch, m, nil, func(int, [][]float64) error { return nil }); err != nil {
				return 0, err
			}
			if t := machine.CPUSeconds() - before; least[i] == 0 || t < least[i] {
				least[i] = t
			}
		}
	}
	h := least[1] / (least[0] - least[1]) * float64(len(all))
	r.heads[set.Metric] = h
	fmt.Printf("output head, embedding and loss (%s): %.2f blocks, %.0f%% of a pass; a pass over %d tokens takes %.3f CPU s\n",
		set.Metric, h, 100*least[1]/least[0], len(batch)*r.window, least[0])
	return h, nil
}

// heldOutPPL returns the perplexity on the held-out text.
func (r *rig) heldOutPPL(ctx context.Context, m blockmask.Mask) (float64, error) {
	ppl, _, err := r.judge.Score(ctx, m, nil)
	return ppl, err
}

// heldOutKLD returns the mean divergence on the held-out text.
func (r *rig) heldOutKLD(ctx context.Context, m blockmask.Mask) (float64, error) {
	if r.judgeKL == nil {
		set, err := perplexity.WithReferences(ctx, r.session, r.judge.Set(), perplexity.TopTokens, nil)
		if err != nil {
			return 0, err
		}
		if r.judgeKL, err = perplexity.NewEvaluator(r.session, set); err != nil {
			return 0, err
		}
	}
	kld, _, err := r.judgeKL.Score(ctx, m, nil)
	return kld, err
}

// heldOutBoth returns both.
func (r *rig) heldOutBoth(ctx context.Context, m blockmask.Mask) (ppl, kld float64, err error) {
	if ppl, err = r.heldOutPPL(ctx, m); err != nil {
		return 0, 0, err
	}
	kld, err = r.heldOutKLD(ctx, m)
	return ppl, kld, err
}
