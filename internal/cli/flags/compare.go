package cli

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/perplexity"
)

// pruneCompareFlags say what prune compares when it has written a file.
type pruneCompareFlags struct {
	off         bool
	text, rival string
}

const pruneCompareUsage = `
What to compare at the end (as ggufprune compare):
      --no-compare         nothing
      --compare-text FILE  on this text (default: one that comes with the program and that no search by default has seen)
      --rival-quant TYPE   the original quantised to this type beside it: auto, the largest that is no larger than the pruned
                           file, off, or one of llama-quantize's such as Q4_K_M (default: auto)
`

func (c *pruneCompareFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&c.off, "no-compare", false, "")
	fs.StringVar(&c.text, "compare-text", "", "")
	fs.StringVar(&c.rival, "rival-quant", pipeline.RivalAuto, "")
}

// What a comparison at the end of prune measures of speed: less than compare does, since nobody asked for it.
const (
	shortPrompt   = 256
	shortGenerate = 32
	shortLimit    = 30 * time.Second // of each pair of models
)

// job returns what is to be compared, nil for nothing.
func (c *pruneCompareFlags) job() (*pipeline.CompareJob, error) {
	rival, err := pipeline.ParseRival(c.rival)
	if err != nil {
		return nil, usagef("--rival-quant: %v", err)
	}
	if c.off {
		return nil, nil
	}
	j := &pipeline.CompareJob{
		Text:   pipeline.Text{File: c.text, Convention: perplexity.Windows, Batch: defaultBatch},
		UBatch: defaultUBatch, Rival: rival,
		Speed: &pipeline.SpeedTest{Prompt: shortPrompt, Generate: shortGenerate, Repeats: defaultRepeats, Limit: shortLimit},
	}
	if c.text != "" {
		if _, err := j.Text.ReadEvaluation(); err != nil {
			return nil, err
		}
	}
	return j, nil
}
