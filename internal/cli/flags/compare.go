package flags

import (
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Compare says what prune compares when it has written a file.
type Compare struct {
	off   bool
	text  string
	rival Rival
}

// AddFlags adds the flags.
func (c *Compare) AddFlags(fs *pflag.FlagSet) {
	Section(fs, "What to compare at the end (as ggufprune compare)", func(fs *pflag.FlagSet) {
		fs.BoolVar(&c.off, "no-compare", false, "nothing")
		fs.StringVar(&c.text, "compare-text", "", "`FILE` on this text (default: one that comes with the program and that no search by default has seen)")
		c.rival.AddFlags(fs, compare.RivalAuto, "without --rival, one no larger than the pruned file: auto, made of an original of 8 bits or more, else the "+
			"largest that is on this machine, else requantised; or made in one of llama-quantize's types such as Q4_K_M; off")
	})
}

// What a comparison at the end of prune measures of speed: less than compare does, since nobody asked for it.
const (
	shortPrompt   = 256
	shortGenerate = 32
	shortLimit    = 30 * time.Second // of each pair of models
)

// Resolve returns what is to be compared, nil for nothing. files are those of the job.
func (c *Compare) Resolve(files *corpus.Files) (*compare.Job, error) {
	j := &compare.Job{
		Text:   corpus.Text{File: c.text, Files: files, Convention: perplexity.Windows, Batch: DefaultBatch},
		UBatch: DefaultUBatch,
		Speed:  &compare.SpeedTest{Prompt: shortPrompt, Generate: shortGenerate, Repeats: defaultRepeats, Limit: shortLimit},
	}
	if err := c.rival.Resolve(j); err != nil {
		return nil, err
	}
	if c.off && j.RivalFile.Path != "" {
		return nil, Errorf("--rival and --no-compare exclude each other; leave one of them out")
	}
	if c.off {
		return nil, nil
	}
	if c.text != "" {
		if _, err := j.Text.ReadEvaluation(); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// Rival says what is set against the pruned file.
type Rival struct {
	file, quant string

	fs *pflag.FlagSet
}

// AddFlags adds the flags. usual is the default of --rival-quant, of which usage says more.
func (r *Rival) AddFlags(fs *pflag.FlagSet, usual, usage string) {
	r.fs = fs
	fs.StringVar(&r.file, "rival", "", "`FILE` a quantisation of the original beside it, whatever its size; or a name as with -m")
	fs.StringVar(&r.quant, "rival-quant", usual, "`TYPE` "+usage)
	nameOf(fs, "rival", models)
	nameOf(fs, "rival-quant", rivals)
}

// Asked returns the flag by which the user asks for a rival, "" for none.
func (r *Rival) Asked() string {
	switch {
	case r.file != "":
		return "rival"
	case r.fs.Changed("rival-quant") && r.quant != compare.RivalOff:
		return "rival-quant"
	}
	return ""
}

// Resolve puts the rival into j.
func (r *Rival) Resolve(j *compare.Job) (err error) {
	if j.Rival, err = compare.ParseRival(r.quant); err != nil {
		return Errorf("--rival-quant: %v", err)
	}
	j.Nearby = modelref.System().Nearby
	if r.file == "" {
		return nil
	}
	if r.fs.Changed("rival-quant") {
		return Errorf("--rival and --rival-quant exclude each other; give one of them")
	}
	ref, err := modelref.System().Find(r.file)
	if err != nil {
		return err
	}
	j.RivalFile = compare.Contender{Label: ref.Given, Path: ref.Path}
	if ref.Given == "" {
		j.RivalFile.Label = filepath.Base(ref.Path)
	}
	return nil
}

// Speed says how speed is measured. Names, meaning and defaults are llama-bench's, --no-speed is ours.
type Speed struct {
	Generate int // tokens

	prompt, times int
	off           bool
}

// The defaults of llama-bench.
const (
	defaultPrompt   = 512
	defaultGenerate = 128
	defaultRepeats  = 5
	mostRepeats     = 1000
)

// AddFlags adds the flags.
func (s *Speed) AddFlags(fs *pflag.FlagSet) {
	Section(fs, "Speed, as in llama-bench", func(fs *pflag.FlagSet) {
		fs.IntVarP(&s.prompt, "n-prompt", "p", defaultPrompt, "`N` tokens of a prompt")
		fs.IntVarP(&s.Generate, "n-gen", "n", defaultGenerate, "`N` tokens to generate")
		fs.IntVarP(&s.times, "repetitions", "r", defaultRepeats, "`N` of each")
		fs.BoolVar(&s.off, "no-speed", false, "measure none")
	})
}

// Resolve returns what is to be measured, nil for nothing.
func (s *Speed) Resolve() (*compare.SpeedTest, error) {
	if s.off {
		return nil, nil
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{{"n-prompt", s.prompt, MaxTokens}, {"n-gen", s.Generate, MaxTokens}, {"repetitions", s.times, mostRepeats}} {
		if f.value < 1 || f.value > f.most {
			return nil, Errorf("--%s is %d; give 1 to %d, or --no-speed", f.name, f.value, f.most)
		}
	}
	return &compare.SpeedTest{Prompt: s.prompt, Generate: s.Generate, Repeats: s.times}, nil
}
