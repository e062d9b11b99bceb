package flags

import (
	"io"
	"slices"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ui"
)

// Common are every command's.
type Common struct {
	json, quiet, verbose bool
	progress             string
}

// AddFlags adds the flags.
func (c *Common) AddFlags(fs *pflag.FlagSet) {
	Section(fs, "Every command", func(fs *pflag.FlagSet) {
		fs.BoolVar(&c.json, "json", false, "print one JSON object to standard output (docs/CLI_JSON.md)")
		fs.BoolVarP(&c.quiet, "quiet", "q", false, "print only the result, warnings and errors")
		fs.BoolVarP(&c.verbose, "verbose", "v", false, "print llama.cpp's log too")
		fs.StringVar(&c.progress, "progress", "auto", "`MODE` auto: one live line on a terminal, else a line now and then; "+
			"plain; json: one object a line on standard error, as docs/CLI_JSON.md says")
		fs.BoolP("help", "h", false, "this text")
		Choices(fs, "progress", "auto", "plain", "json")
	})
}

// Resolve returns what prints as the flags ask for: results on out, everything else on err.
func (c *Common) Resolve(out, err io.Writer) (*ui.UI, error) {
	if !oneOf(c.progress, "auto", "plain", "json") {
		return nil, Errorf("--progress is %q; give auto, plain or json", c.progress)
	}
	return ui.New(ui.Options{
		Out: out, Err: err, Level: c.level(), JSON: c.json, Events: c.progress == "json", Plain: c.progress == "plain",
	}), nil
}

func (c *Common) level() ui.Level {
	switch {
	case c.verbose:
		return ui.Verbose
	case c.quiet:
		return ui.Quiet
	default:
		return ui.Normal
	}
}

func oneOf(s string, choices ...string) bool { return slices.Contains(choices, s) }

// CheckEmpty refuses flags that are given without a value, as -f "$TEXT" gives one where the variable is not set. Most would be
// taken as not given, and something else be measured or written than what was meant.
func CheckEmpty(fs *pflag.FlagSet) error {
	var err error
	fs.Visit(func(f *pflag.Flag) {
		if _, ok := f.Value.(*goalValue); ok || f.Name == "mask" {
			return // goals refuse an empty value themselves, and an empty mask leaves nothing out
		}
		empty := f.Value.Type() == "string" && f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok && f.Value.Type() == "stringArray" {
			empty = slices.Contains(list.GetSlice(), "")
		}
		if empty && err == nil {
			err = Errorf("--%s is empty; give %s, or leave the flag out", f.Name, Value(f))
		}
	})
	return err
}
