package cli

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/perplexity"
)

// textFlags say what perplexity is measured on. Names, meaning and defaults are llama-perplexity's, --convention is ours.
type textFlags struct {
	file, calib, convention              string
	context, batch, ubatch, chunks, seed int
}

const textUsage = `
Text, as in llama-perplexity:
  -f, --file FILE          the text (also --calib): plain, or JSONL in Alpaca's, ShareGPT's or {"text"} form
                           (default: one that comes with the program)
  -c, --ctx-size N         tokens of a window, most tokens of a sample (default: 512, or the model's if less)
  -b, --batch-size N       most tokens of a batch (default: 2048)
  -ub, --ubatch-size N     most tokens of one graph (default: 512)
      --chunks N           most windows or samples; -1 for all
      --convention NAME    samples: a document is a sequence, as in the paper; windows: as llama-perplexity
  -s, --seed N             choose the samples at random instead of taking the first ones
`

// The defaults of numbers that differ by command or model; 0 and -1 are meaningful to users.
const (
	unset         = -1
	paperSamples  = 256 // the paper's; more brought nothing
	defaultBatch  = 2048
	defaultUBatch = 512
	maxTokens     = 1 << 20 // of a context, batch or ubatch: beyond this it is a mistake
)

func (t *textFlags) add(fs *pflag.FlagSet, convention perplexity.Convention) {
	fs.StringVarP(&t.file, "file", "f", "", "")
	fs.StringVar(&t.calib, "calib", "", "")
	fs.StringVar(&t.convention, "convention", string(convention), "")
	fs.IntVarP(&t.context, "ctx-size", "c", unset, "")
	fs.IntVarP(&t.batch, "batch-size", "b", defaultBatch, "")
	fs.IntVar(&t.ubatch, "ubatch-size", defaultUBatch, "")
	fs.IntVar(&t.chunks, "chunks", unset, "")
	fs.IntVarP(&t.seed, "seed", "s", unset, "")
}

// text checks the flags. A context that is not given is 0: the pipeline chooses it by the model.
func (t *textFlags) text(fs *pflag.FlagSet) (pipeline.Text, error) {
	c, err := perplexity.ParseConvention(t.convention)
	if err != nil {
		return pipeline.Text{}, usagef("--convention: %v", err)
	}
	for _, f := range []struct {
		name       string
		value, min int
	}{{"ctx-size", t.context, 4}, {"batch-size", t.batch, 1}, {"ubatch-size", t.ubatch, 1}} {
		if fs.Changed(f.name) && (f.value < f.min || f.value > maxTokens) {
			return pipeline.Text{}, usagef("--%s is %d; give %d to %d tokens", f.name, f.value, f.min, maxTokens)
		}
	}
	if t.chunks < -1 || t.chunks == 0 {
		return pipeline.Text{}, usagef("--chunks is %d; give a number from 1 on, or -1 for all", t.chunks)
	}
	if t.seed < -1 {
		return pipeline.Text{}, usagef("--seed is %d; give a number from 0 on", t.seed)
	}
	most := max(0, t.chunks)
	if c == perplexity.Samples && !fs.Changed("chunks") {
		most = paperSamples
	}
	file, err := t.path()
	return pipeline.Text{
		File: file, Convention: c, Context: max(0, t.context), Batch: min(t.batch, t.ubatch), Max: most,
		Seed: uint64(max(0, t.seed)),
	}, err
}

// windows is text for ppl, where -b and -ub mean what they do in llama-perplexity and -c does not depend on the model.
func (t *textFlags) windows(fs *pflag.FlagSet) (pipeline.Text, error) {
	text, err := t.text(fs)
	text.Context = cmp.Or(text.Context, 512)
	text.Batch = t.batch
	return text, err
}

// selfText as --calib has the model write the text; a file of that name is ./self.
const selfText = "self"

// path returns the text's file, "" for none. Only searches, which take [calibFlags], can have the model write it.
func (t *textFlags) path() (string, error) {
	switch {
	case t.calib == "":
		return t.file, nil
	case t.file != "":
		return "", usagef("--calib and --file are the same flag; give one of them")
	case t.calib == selfText:
		return "", usagef("--calib self is for prune and search; give a text with -f")
	}
	return t.calib, nil
}
