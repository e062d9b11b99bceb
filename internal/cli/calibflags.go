package cli

import (
	"fmt"
	"math"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// calibFlags say how a search's text fits the model.
type calibFlags struct {
	chat          string
	heldOut, temp float64
}

const calibUsage = `
Calibration:
      --calib self         the model writes the text itself (128 documents, or --chunks of them; -s seeds it)
      --temp T             the temperature at which it does (default: 1, its own distribution)
      --chat MODE          conversations and instructions (ShareGPT's and Alpaca's form) in the model's own chat template:
                           on, off, or auto, where the model has one that llama.cpp can apply (default: auto)
      --held-out PART      how much of your text the search may not see: the result is judged on it, with a warning if
                           it is worse there (default: 0.1; 0 for none)
`

func (c *calibFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&c.chat, "chat", string(pipeline.ChatAuto), "")
	fs.Float64Var(&c.heldOut, "held-out", 0.1, "")
	fs.Float64Var(&c.temp, "temp", 1, "")
}

// take checks the flags. It takes "self" away from the text's, where it would be no file.
func (c *calibFlags) take(fs *pflag.FlagSet, t *textFlags) (pipeline.Calibration, error) {
	out := pipeline.Calibration{Chat: pipeline.ChatMode(c.chat), HeldOut: c.heldOut}
	switch {
	case !oneOf(c.chat, pipeline.ChatModes()...):
		return out, usagef("--chat is %q; give auto, on or off", c.chat)
	case !(c.heldOut >= 0 && c.heldOut <= 0.5):
		return out, usagef("--held-out is %v; give a part from 0 to 0.5, such as 0.1", c.heldOut)
	case c.chat == string(pipeline.ChatOn) && t.convention == string(perplexity.Windows):
		return out, usagef("--chat on is for samples: windows are cut from plain text")
	}
	if t.calib != selfText {
		if fs.Changed("temp") {
			return out, usagef("--temp is for --calib self")
		}
		return out, nil
	}
	if t.file != "" {
		return out, usagef("--calib self and --file exclude each other; give one of them")
	}
	if t.convention == string(perplexity.Windows) {
		return out, usagef("--calib self gives documents; use --convention samples")
	}
	if !(c.temp >= 0 && c.temp <= 10) || math.IsNaN(c.temp) {
		return out, usagef("--temp is %v; give a temperature from 0 to 10", c.temp)
	}
	t.calib, out.Self, out.Temperature = "", true, c.temp
	return out, nil
}

// heldOutText says how the loss on text that the search has not seen compares.
func heldOutText(h *plan.HeldOut) string {
	ratio := func(x *float64) string {
		if x == nil {
			return "beyond measure"
		}
		return fmt.Sprintf("x%.3f", *x)
	}
	sequences := fmt.Sprintf("%d held-out sequences", h.Sequences)
	if h.Sequences == 1 {
		sequences = "a held-out sequence"
	}
	return fmt.Sprintf("%s on %s, %s on the calibration: %s", ratio(h.Ratio), sequences, ratio(h.SeenRatio), h.Verdict)
}
