package flags

import (
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/layout"
)

// writeHeading is over all that a command writes.
const writeHeading = "What to write"

// Output says where and how a model is written.
type Output struct {
	Same    bool // the layout is that of an input
	Several bool // there may be several files, in a folder

	Path           string // "" for a name by the GGUF convention
	Force, NoCheck bool

	layout string
}

// AddFlags adds the flags.
func (o *Output) AddFlags(fs *pflag.FlagSet) {
	Section(fs, writeHeading, func(fs *pflag.FlagSet) {
		usage := "`FILE` the file (default: a name by the GGUF convention, in this folder)"
		if o.Several {
			usage = "`FILE` the file; of several the folder (default: names by the GGUF convention, in this folder)"
		}
		fs.StringVarP(&o.Path, "output", "o", "", usage)
		if !o.Same {
			fs.StringVar(&o.layout, "layout", string(layout.Auto), "`NAME` auto, native, deci or zeros (default: auto, the best one that is exact)")
			Choices(fs, "layout", layout.Kinds...)
		}
		fs.BoolVar(&o.Force, "force", false, "overwrite existing files")
		fs.BoolVar(&o.NoCheck, "no-check", false, "do not check the written file")
	})
}

// Resolve returns the layout.
func (o *Output) Resolve() (layout.Kind, error) {
	kind, err := layout.ParseKind(o.layout)
	if err != nil {
		return kind, Errorf("--layout: %v", err)
	}
	return kind, nil
}

// Ollama says whether Ollama gets the written file.
type Ollama struct{ name string }

// AddFlags adds the flag.
func (o *Ollama) AddFlags(fs *pflag.FlagSet) {
	Section(fs, writeHeading, func(fs *pflag.FlagSet) {
		fs.StringVar(&o.name, "ollama", "", "`NAME` also make it the model NAME in the running Ollama, with the template and so on of a source from there")
	})
}

// Resolve returns the model's name in full, "" for none.
func (o *Ollama) Resolve() (string, error) {
	if o.name == "" {
		return "", nil
	}
	name, err := ollama.CheckName(o.name)
	if err != nil {
		return "", Errorf("--ollama: %v", err)
	}
	return name, nil
}
