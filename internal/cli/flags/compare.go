package flags

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
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
	for _, f := range []struct {
		name        string
		value, most int
	}{{"n-prompt", s.prompt, MaxTokens}, {"n-gen", s.Generate, MaxTokens}, {"repetitions", s.times, mostRepeats}} {
		if f.value < 1 || f.value > f.most {
			return nil, Errorf("--%s is %d; give 1 to %d, or --no-speed", f.name, f.value, f.most)
		}
	}
	if s.off {
		return nil, nil
	}
	return &compare.SpeedTest{Prompt: s.prompt, Generate: s.Generate, Repeats: s.times}, nil
}
