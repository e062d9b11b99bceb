package widthbench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// What is timed, or whose memory counts, runs in a process of its own: the program as users have it, so that everything that is not said
// is what it does by default, or a pass of the bench's own.
const childFlag = "-child"

// command runs a command line of ggufprune, without its name. The program is built first unless the user names one.
func (o options) command(ctx context.Context, out io.Writer, args ...string) (measure.Usage, error) {
	if o.program == "" && o.run.program == "" {
		dir, err := o.run.temporary()
		if err != nil {
			return measure.Usage{}, err
		}
		program, err := measure.Build(ctx, dir)
		if err != nil {
			return measure.Usage{}, err
		}
		o.run.program = program
	}
	return measure.Spawn(ctx, out, cmp.Or(o.program, o.run.program), args...)
}

// verdict is a model on a text.
type verdict struct {
	ppl   float64
	usage measure.Usage
}

// judgeFile is the perplexity of a file by llama-perplexity's windows, measured once for each file and text.
func (o options) judgeFile(ctx context.Context, file string, t text) (verdict, error) {
	key := file + "\n" + t.path
	if v, ok := o.run.judged[key]; ok {
		return v, nil
	}
	var out strings.Builder
	u, err := o.command(ctx, &out, "ppl", "--model", file, "--file", t.path, "--convention", string(perplexity.Windows),
		"--ctx-size", strconv.Itoa(o.window), "--chunks", strconv.Itoa(o.judge), "--threads", strconv.Itoa(o.threads), "--json", "--quiet")
	if err != nil {
		return verdict{}, err
	}
	v := verdict{usage: u}
	if v.ppl, err = readPPL(out.String()); err != nil {
		return v, fmt.Errorf("%s on %s: %w", file, t.path, err)
	}
	o.run.judged[key] = v
	return v, nil
}

// readPPL takes the perplexity out of what ppl --json prints.
func readPPL(data string) (float64, error) {
	var got struct {
		PPL *float64 `json:"ppl"`
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		return 0, err
	}
	if got.PPL == nil {
		return 0, errors.New("the perplexity is not a number")
	}
	return *got.PPL, nil
}

// passPositions are the fewest that a pass is timed on.
const passPositions = 4096

// passCost is what a pass through the unpruned model takes, in CPU seconds for each position.
func (o options) passCost(ctx context.Context) (float64, error) {
	var out strings.Builder
	if _, err := measure.Spawn(ctx, &out, os.Args[0], "width", childFlag, o.model, strconv.Itoa(o.threads), strconv.Itoa(o.window), o.fitTexts); err != nil {
		return 0, err
	}
	var positions, cpu float64
	if _, err := fmt.Sscan(out.String(), &positions, &cpu); err != nil || !(positions > 0 && cpu > 0) {
		return 0, fmt.Errorf("a pass printed %q", out.String())
	}
	return cpu / positions, nil
}

// pass runs a part of the fit's text through a model as llama-perplexity does, logits of the second half of each window included, and
// prints positions and CPU seconds. Loading and the first window, which reads the file, do not count.
func pass(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("a pass needs model, threads, window and texts")
	}
	var o options
	var err error
	if o.threads, err = strconv.Atoi(args[1]); err != nil {
		return err
	}
	window, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	text, err := passText(args[3])
	if err != nil {
		return err
	}
	spec := o.spec(args[0])
	src, err := source.Open(ctx, spec)
	if err != nil {
		return err
	}
	defer src.Close()
	set, err := perplexity.NewSet(perplexity.Windows, text, src.Model, perplexity.SetOptions{Context: window, Max: passPositions/window + 1})
	if err != nil {
		return err
	}
	s, err := src.Model.NewSession(ctx, engine.SessionParams{
		NSeq: 1, SeqLen: window, Threads: spec.Threads, FlashAttn: spec.FlashAttn, Unedited: true, UBatch: window,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	positions, begin := 0, 0.0
	for i := 0; positions < passPositions; i++ {
		q := set.Sequences[i%len(set.Sequences)]
		if _, err := s.EvalPlain(ctx, []engine.Sequence{q}, nil); err != nil {
			return err
		}
		if i == 0 {
			begin = machine.CPUSeconds()
			continue
		}
		positions += len(q.Tokens)
	}
	_, err = fmt.Printf("%d %.6f\n", positions, machine.CPUSeconds()-begin)
	return err
}

// passText is the fit's texts, with the built-in one behind them where they are short.
func passText(paths string) (*perplexity.Corpus, error) {
	var docs []string
	if paths != "" {
		texts, err := measure.ReadTexts(paths)
		if err != nil {
			return nil, err
		}
		for _, c := range texts {
			docs = append(docs, c.Documents...)
		}
	}
	c, err := corpus.Text{}.Read()
	if err != nil {
		return nil, err
	}
	c.Documents = append(docs, c.Text())
	return c, nil
}
