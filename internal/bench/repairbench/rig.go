package repairbench

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// options are what the command line says.
type options struct {
	models, calib, heldOut, other string
	seeds, window, threads, judge int
	tokens, awareTokens           int
	from                          uint64
	shape                         int
	mask                          string
	blocks, curve, methods, parts string
	strategies, orders            string
}

// rig holds the texts.
type rig struct {
	options
	calib, heldOut           *perplexity.Corpus
	otherCalib, otherHeldOut *perplexity.Corpus // nil: there is no other text
	figures                  []string
	found                    map[string][]blockmask.Block // by search: what it removes, in order
	outcomes                 map[string]outcome           // by mask and sample
	sets                     map[string]*perplexity.Set   // by file and text
	wholes                   map[string]judged            // by file
}

// batchSeqs sequences run at once.
const batchSeqs = 4

// figure keeps a figure for the end.
func (r *rig) figure(name string, v float64) {
	r.figures = append(r.figures, fmt.Sprintf("figure %s %.4g", name, v))
}

func (r *rig) read() (err error) {
	if r.found, err = readOrders(r.options.orders); err != nil {
		return err
	}
	if r.calib, err = text(r.options.calib, corpus.Calibration(), perplexity.Auto); err != nil {
		return err
	}
	if r.heldOut, err = text(r.options.heldOut, corpus.HeldOut(), perplexity.Plain); err != nil || r.other == "" {
		return err
	}
	c, err := perplexity.ReadFile(r.other, perplexity.Plain)
	if err != nil {
		return err
	}
	all := c.Text()
	half := len(all)/2 + bytes.IndexByte([]byte(all[len(all)/2:]), '\n')
	r.otherCalib = &perplexity.Corpus{Name: c.Name + ", first half", Documents: []string{all[:half]}, Continuous: true}
	r.otherHeldOut = &perplexity.Corpus{Name: c.Name + ", second half", Documents: []string{all[half:]}, Continuous: true}
	return nil
}

// text reads a file, or what is built in, as one text.
func text(path string, builtIn []byte, format perplexity.Format) (*perplexity.Corpus, error) {
	c, err := perplexity.Read(bytes.NewReader(builtIn), "built-in", format)
	if path != "" {
		c, err = perplexity.ReadFile(path, perplexity.Auto)
	}
	if err != nil {
		return nil, err
	}
	return &perplexity.Corpus{Name: c.Name, Documents: []string{c.Text()}, Continuous: true}, nil
}

// texts are what a repair is fitted on.
func (r *rig) texts() []*perplexity.Corpus {
	if r.otherCalib == nil {
		return []*perplexity.Corpus{r.calib}
	}
	return []*perplexity.Corpus{r.calib, r.otherCalib}
}

// open is a loaded model with what it is judged on.
type open struct {
	file     *gguf.File
	model    *llamabind.Model
	session  *llamabind.Session
	weights  fit.Weights
	blocks   []layout.Block
	instruct *perplexity.Evaluator
	other    *perplexity.Evaluator
	kld      *perplexity.Evaluator // on instruct's text
}

func (r *rig) open(ctx context.Context, path string) (*open, error) {
	o := &open{}
	var err error
	if o.file, err = gguf.Open(path); err != nil {
		return nil, err
	}
	if o.model, err = llamabind.LoadModel(ctx, path, engine.ModelParams{NoMmap: true}); err != nil {
		return nil, err
	}
	if o.session, err = o.model.NewSession(ctx, engine.SessionParams{NSeq: batchSeqs, SeqLen: r.window, Threads: r.threads}); err != nil {
		return nil, err
	}
	for _, b := range o.session.Blocks() {
		o.blocks = append(o.blocks, layout.Block{Block: b, Weights: o.session.Weights(b)})
	}
	o.weights = repair.NewProjections(llamabind.Runtime{}, o.file, o.blocks)
	if o.instruct, err = r.evaluator(ctx, o, path, r.heldOut, false); err != nil {
		return nil, err
	}
	if o.kld, err = r.evaluator(ctx, o, path, r.heldOut, true); err != nil {
		return nil, err
	}
	if r.otherHeldOut != nil {
		o.other, err = r.evaluator(ctx, o, path, r.otherHeldOut, false)
	}
	return o, err
}

// gone is the part of the parameters that a mask removes.
func (o *open) gone(mask blockmask.Mask) float64 {
	return float64(layout.Weigh(o.file, o.blocks).Of(mask.Blocks()...).Params) / float64(o.file.Params())
}

func (o *open) close() {
	o.session.Close()
	o.model.Close()
	o.file.Close()
}

// evaluator judges the model on a text. What does not change with the weights is made once for each file.
func (r *rig) evaluator(ctx context.Context, o *open, path string, c *perplexity.Corpus, kld bool) (*perplexity.Evaluator, error) {
	key := fmt.Sprint(path, c.Name, kld)
	set, ok := r.sets[key]
	if !ok {
		var err error
		set, err = perplexity.NewSet(perplexity.Samples, c, o.model, perplexity.SetOptions{Context: r.window, Max: r.judge})
		if err == nil && kld {
			set, err = perplexity.WithReferences(ctx, o.session, set, perplexity.TopTokens, nil)
		}
		if err != nil {
			return nil, err
		}
		if r.sets == nil {
			r.sets = map[string]*perplexity.Set{}
		}
		r.sets[key] = set
	}
	return perplexity.NewEvaluator(o.session, set)
}
