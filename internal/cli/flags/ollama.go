package cli

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// find puts the model that the flags name into r.
func (m *modelFlags) find(r *pipeline.Runtime) error {
	var (
		ref *modelref.Ref
		err error
	)
	switch {
	case m.path != "" && m.hfRepo != "":
		return usagef("--model and --hf-repo name a model each; give one of them")
	case m.hfFile != "" && m.hfRepo == "":
		return usagef("--hf-file is a file of --hf-repo; give that too")
	case m.hfRepo != "":
		ref, err = modelref.System().FindHF(m.hfRepo, m.hfFile)
	case m.path != "":
		ref, err = modelref.System().Find(m.path)
	default:
		return usagef("no model given; name it with -m model.gguf")
	}
	if err != nil {
		return err
	}
	if err := didYouMean(ref); err != nil {
		return err
	}
	r.Path = ref.Path
	if ref.Given != "" {
		r.Ref = ref
	}
	return nil
}

// didYouMean recognises the name of an Ollama model where a path was expected.
func didYouMean(ref *modelref.Ref) error {
	if ref.Given != "" {
		return nil
	}
	if _, err := os.Stat(ref.Path); err == nil {
		return nil
	}
	named, err := modelref.System().Find("ollama:" + ref.Path)
	if err != nil {
		return nil // then whoever opens the path says that it is not there
	}
	return fmt.Errorf("model %s does not exist; Ollama has one of this name: -m ollama:%s", ref.Path, named.Ollama.Name)
}

// ollamaFlags say whether Ollama gets the written file.
type ollamaFlags struct{ name string }

const ollamaUsage = `      --ollama NAME            also make it the model NAME in the running Ollama, with the template and so on of a source from there
`

func (o *ollamaFlags) add(fs *pflag.FlagSet) { fs.StringVar(&o.name, "ollama", "", "") }

// fill checks the flag and puts it into the job.
func (o *ollamaFlags) fill(j *pipeline.Job) (err error) {
	if o.name == "" {
		return nil
	}
	if j.Ollama, err = ollama.CheckName(o.name); err != nil {
		return usagef("--ollama: %v", err)
	}
	return nil
}

// printPublication prints what Ollama has now; the error is why it has not what it was to have.
func printPublication(u *ui.UI, p *pipeline.Publication) error {
	if p == nil {
		return nil
	}
	if p.Modelfile != "" {
		u.Resultf("ollama  %s", p.Modelfile)
	}
	switch {
	case p.Err != nil:
		return p.Err
	case p.Name != "":
		u.Resultf("        model %s is in Ollama", p.Name)
		u.Notef("run it: ollama run %s", shellQuote(p.Name))
	default:
		u.Notef("run it: ollama create NAME -f %s && ollama run NAME", shellQuote(p.Modelfile))
	}
	return nil
}
