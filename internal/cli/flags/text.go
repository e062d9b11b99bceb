package flags

import (
	"cmp"
	"math"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Text says what perplexity is measured on. Names, meaning and defaults are llama-perplexity's, --convention is ours.
type Text struct {
	Convention perplexity.Convention // the default
	Exact      bool                  // -b and -ub mean what they do in llama-perplexity, and -c does not depend on the model
	Self       bool                  // the model can write the text; see [Calibration]

	UBatch int

	file, calib, convention      string
	context, batch, chunks, seed int
	fs                           *pflag.FlagSet
}

// The defaults of numbers that differ by command or model; 0 and -1 are meaningful to users.
const (
	Unset         = -1
	paperSamples  = 256 // the paper's; more brought nothing
	DefaultBatch  = 2048
	DefaultUBatch = 512
	MaxTokens     = 1 << 20 // of a context, batch or ubatch: beyond this it is a mistake
)

// AddFlags adds the flags.
func (t *Text) AddFlags(fs *pflag.FlagSet) {
	t.fs = fs
	Section(fs, "Text, as in llama-perplexity", func(fs *pflag.FlagSet) {
		fs.StringVarP(&t.file, "file", "f", "", "`FILE` the text: plain, or JSONL in Alpaca's, ShareGPT's, OpenAI's or {\"text\"} form, and others (default: one that comes with the program)")
		if !t.Self {
			fs.StringVar(&t.calib, "calib", "", "`FILE` the same as --file")
		}
		fs.IntVarP(&t.context, "ctx-size", "c", Unset, "`N` tokens of a window, most tokens of a sample (default: 512, or the model's if less)")
		fs.IntVarP(&t.batch, "batch-size", "b", DefaultBatch, "`N` most tokens of a batch")
		fs.IntVar(&t.UBatch, "ubatch-size", DefaultUBatch, "`N` most tokens of one graph")
		fs.IntVar(&t.chunks, "chunks", Unset, "`N` most windows or samples; -1 for all")
		fs.StringVar(&t.convention, "convention", string(t.Convention), "`NAME` samples: a document is a sequence, as in the paper; windows: as llama-perplexity")
		fs.IntVarP(&t.seed, "seed", "s", Unset, "`N` choose the samples at random instead of taking the first ones; the same N chooses the same ones, N is 1 or more")
		Choices(fs, "convention", perplexity.Samples, perplexity.Windows)
	})
	if t.Self {
		Section(fs, calibrationHeading, func(fs *pflag.FlagSet) {
			fs.StringVar(&t.calib, "calib", "", "`FILE` the same as --file; or self: the model writes the text itself (128 documents, or --chunks of them; -s seeds it)")
		})
	}
}

// Resolve checks the flags. A context that is not given is 0, for one by the model, unless the text is exact.
func (t *Text) Resolve() (corpus.Text, error) {
	text, err := t.text()
	if t.Exact {
		text.Context, text.Batch = cmp.Or(text.Context, 512), t.batch
	}
	return text, err
}

func (t *Text) text() (corpus.Text, error) {
	c, err := perplexity.ParseConvention(t.convention)
	if err != nil {
		return corpus.Text{}, Errorf("--convention: %v", err)
	}
	for _, f := range []struct {
		name       string
		value, min int
	}{{"ctx-size", t.context, 4}, {"batch-size", t.batch, 1}, {"ubatch-size", t.UBatch, 1}} {
		if t.fs.Changed(f.name) && (f.value < f.min || f.value > MaxTokens) {
			return corpus.Text{}, Errorf("--%s is %d; give %d to %d tokens", f.name, f.value, f.min, MaxTokens)
		}
	}
	if t.chunks < -1 || t.chunks == 0 {
		return corpus.Text{}, Errorf("--chunks is %d; give a number from 1 on, or -1 for all", t.chunks)
	}
	if t.fs.Changed("seed") && t.seed < 1 {
		return corpus.Text{}, Errorf("--seed is %d; give a number from 1 on, or leave it out for the first samples", t.seed)
	}
	most := max(0, t.chunks)
	if c == perplexity.Samples && !t.fs.Changed("chunks") {
		most = paperSamples
	}
	file, err := t.path()
	return corpus.Text{
		File: file, Files: corpus.NewFiles(), Convention: c, Context: max(0, t.context), Batch: min(t.batch, t.UBatch), Max: most,
		Seed: uint64(max(0, t.seed)),
	}, err
}

// Counted reports whether --chunks was given.
func (t *Text) Counted() bool { return t.fs.Changed("chunks") }

// selfText as --calib has the model write the text; a file of that name is ./self.
const selfText = "self"

// path returns the text's file, "" for none. Only searches, which take [Calibration], can have the model write it.
func (t *Text) path() (string, error) {
	switch {
	case t.calib == "":
		return t.file, nil
	case t.file != "":
		return "", Errorf("--calib and --file are the same flag; give one of them")
	case t.calib == selfText:
		return "", Errorf("--calib self is for prune and search; give a text with -f")
	}
	return t.calib, nil
}

// Calibration says how a search's text fits the model.
type Calibration struct {
	chat          string
	heldOut, temp float64
	fs            *pflag.FlagSet
}

// AddFlags adds the flags.
func (c *Calibration) AddFlags(fs *pflag.FlagSet) {
	c.fs = fs
	Section(fs, calibrationHeading, func(fs *pflag.FlagSet) {
		fs.Float64Var(&c.temp, "temp", 1, "`T` the temperature at which the model writes for --calib self (default: 1, its own distribution)")
		fs.StringVar(&c.chat, "chat", string(calibrate.ChatAuto), "`MODE` conversations and instructions (ShareGPT's, OpenAI's and Alpaca's form) in the "+
			"model's own chat template: on, off, or auto, where the model has one that llama.cpp can apply")
		fs.Float64Var(&c.heldOut, "held-out", 0.1, "`PART` how much of your text the search may not see: the result is judged on it, with a "+
			"warning if it is worse there (default: 0.1; 0 for none)")
		Choices(fs, "chat", calibrate.ChatModes()...)
	})
}

const calibrationHeading = "Calibration"

// Resolve checks the flags. It takes "self" away from the text's, where it would be no file.
func (c *Calibration) Resolve(t *Text) (calibrate.Options, error) {
	out := calibrate.Options{Chat: calibrate.Chat(c.chat), HeldOut: c.heldOut}
	switch {
	case !oneOf(c.chat, calibrate.ChatModes()...):
		return out, Errorf("--chat is %q; give auto, on or off", c.chat)
	case !(c.heldOut >= 0 && c.heldOut <= 0.5):
		return out, Errorf("--held-out is %v; give a part from 0 to 0.5, such as 0.1", c.heldOut)
	case c.chat == string(calibrate.ChatOn) && t.convention == string(perplexity.Windows):
		return out, Errorf("--chat on is for samples: windows are cut from plain text")
	}
	if t.calib != selfText {
		if c.fs.Changed("temp") {
			return out, Errorf("--temp is for --calib self")
		}
		return out, nil
	}
	if t.file != "" {
		return out, Errorf("--calib self and --file exclude each other; give one of them")
	}
	if t.convention == string(perplexity.Windows) {
		return out, Errorf("--calib self gives documents; use --convention samples")
	}
	if !(c.temp >= 0 && c.temp <= 10) || math.IsNaN(c.temp) {
		return out, Errorf("--temp is %v; give a temperature from 0 to 10", c.temp)
	}
	t.calib, out.Self, out.Temperature = "", true, c.temp
	return out, nil
}
