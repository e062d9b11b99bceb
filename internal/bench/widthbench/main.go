// Package widthbench measures what FFN channels cost, and what a fit wins back.
package widthbench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// options are what the command line says.
type options struct {
	model, fitTexts, judgeTexts string
	width, tokens, window       int
	judge, threads              int
	seed                        uint64
}

// batchSeqs is how many sequences run at once.
const batchSeqs = 2

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("bench width", flag.ContinueOnError)
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	fs.StringVar(&o.fitTexts, "fit", "testdata/simple.jsonl", "texts to fit on, separated by commas")
	fs.StringVar(&o.judgeTexts, "judge", "internal/corpus/data/heldout.txt", "texts to judge on, separated by commas")
	fs.IntVar(&o.width, "width", 0, "channels that every FFN keeps (default: two thirds)")
	fs.IntVar(&o.tokens, "tokens", 24576, "positions of the fit, a quarter of which choose")
	fs.IntVar(&o.window, "c", 512, "tokens of a sequence")
	fs.IntVar(&o.judge, "windows", 60, "windows of each text to judge on")
	fs.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	fs.Uint64Var(&o.seed, "seed", 1, "which sequences the fit sees")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return o.run(ctx)
}

func (o options) run(ctx context.Context) error {
	file, err := gguf.Open(o.model)
	if err != nil {
		return err
	}
	defer file.Close()
	model, err := llamabind.LoadModel(ctx, o.model, engine.ModelParams{NoMmap: true})
	if err != nil {
		return err
	}
	defer model.Close()
	session, err := model.NewSession(ctx, engine.SessionParams{NSeq: batchSeqs, SeqLen: o.window, Threads: o.threads})
	if err != nil {
		return err
	}
	defer session.Close()
	var blocks []layout.Block
	widths := map[blockmask.Block]int{}
	full := 0
	for _, b := range session.Blocks() {
		blocks = append(blocks, layout.Block{Block: b, Weights: session.Weights(b)})
		if b.Kind != blockmask.FFN {
			continue
		}
		t, ok := file.Tensor(fmt.Sprintf("blk.%d.ffn_down.weight", b.Layer))
		if !ok {
			return errors.New("an FFN has no ffn_down")
		}
		full = int(t.Dims[0])
		widths[b] = o.width
		if o.width == 0 {
			widths[b] = full * 2 / 3
		}
	}
	judge, err := o.judges(model, session)
	if err != nil {
		return err
	}
	before, err := judge(ctx)
	if err != nil {
		return err
	}
	texts, err := read(o.fitTexts)
	if err != nil {
		return err
	}
	fitted, held, err := fit.Batches(model, texts, o.window, o.tokens, batchSeqs, o.seed)
	if err != nil {
		return err
	}
	cpu := machine.CPUSeconds()
	weights := repair.NewProjections(llamabind.Runtime{}, file, blocks)
	res, err := fit.Run(ctx, session, weights, fit.Request{
		Widths: widths, Method: fit.Full, Fit: fitted, Held: held,
		Progress: func(done, total int, b blockmask.Block) {
			fmt.Printf("  %d of %d: %s, %.0f CPU s\n", done, total, b, machine.CPUSeconds()-cpu)
		},
	})
	if err != nil {
		return err
	}
	cpu = machine.CPUSeconds() - cpu
	after, err := judge(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d channels, fitted on %d positions in %.0f CPU s\n", o.model, widths[blockmask.Block{Kind: blockmask.FFN}], full, res.Positions, cpu)
	for i, name := range strings.Split(o.judgeTexts, ",") {
		fmt.Printf("  %s: %.3f -> %.3f, x%.3f\n", name, before[i], after[i], after[i]/before[i])
	}
	return nil
}

// judges returns what measures perplexity on each of the texts, in windows of which the second half counts.
func (o options) judges(model *llamabind.Model, session *llamabind.Session) (func(context.Context) ([]float64, error), error) {
	texts, err := read(o.judgeTexts)
	if err != nil {
		return nil, err
	}
	var all []*perplexity.Evaluator
	for _, c := range texts {
		set, err := perplexity.NewSet(perplexity.Windows, c, model, perplexity.SetOptions{Context: o.window, Max: o.judge})
		if err != nil {
			return nil, err
		}
		e, err := perplexity.NewEvaluator(session, set)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return func(ctx context.Context) ([]float64, error) {
		var out []float64
		for _, e := range all {
			est, err := e.Estimate(ctx, nil, nil)
			if err != nil {
				return nil, err
			}
			if math.IsNaN(est.PPL) {
				return nil, errors.New("a perplexity is not a number")
			}
			out = append(out, est.PPL)
		}
		return out, nil
	}, nil
}

// read reads texts, each as one.
func read(paths string) ([]*perplexity.Corpus, error) {
	var out []*perplexity.Corpus
	for path := range strings.SplitSeq(paths, ",") {
		c, err := perplexity.ReadFile(path, perplexity.Auto)
		if err != nil {
			return nil, err
		}
		out = append(out, &perplexity.Corpus{Name: path, Documents: []string{c.Text()}, Continuous: true})
	}
	return out, nil
}
