package page

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// command is something to type.
type command struct {
	What string
	Text string // lines
}

// someFile stands for the pruned file where none is written yet.
const someFile = "pruned.gguf"

// commands say how to make and run the pruned model.
func (in Input) commands() []command {
	file := someFile
	var out []command
	if in.Pruned != nil {
		file = in.Pruned.Path
	} else {
		out = append(out, command{"Write the pruned model", in.applyCommand()})
	}
	name := ollamaName(file)
	relative := file
	if !filepath.IsAbs(file) {
		relative = "./" + filepath.ToSlash(filepath.Clean(file)) // Ollama takes a bare name for one of its own models
	}
	for _, c := range []command{
		{"Chat in a terminal, with llama.cpp", "llama-cli -m " + format.Shell(file)},
		{"Serve an OpenAI-compatible API, with llama.cpp", "llama-server -m " + format.Shell(file) + " --port 8080"},
		{"With Ollama: a Modelfile, which takes the path and sets nothing else", "FROM " + relative},
		{"and with that", fmt.Sprintf("ollama create %s -f Modelfile\nollama run %s", name, name)},
		{"Measure the perplexity of both models on your own text", fmt.Sprintf(
			"ggufprune ppl -m %s -f your-text.txt\nggufprune ppl -m %s -f your-text.txt", format.Shell(in.Plan.Model.Path), format.Shell(file))},
	} {
		out = append(out, command{c.What, visible(c.Text)})
	}
	return out
}

// applyCommand writes the model that the report is about from the plan.
func (in Input) applyCommand() string {
	text := fmt.Sprintf("ggufprune apply -m %s --plan %s", format.Shell(in.Plan.Model.Path), format.Shell(cmp.Or(in.PlanPath, "plan.json")))
	if k := in.steps(); k < len(in.Plan.Steps) {
		text += fmt.Sprintf(" --blocks %d", len(in.Plan.Removed(k)))
	}
	return visible(text + " -o " + someFile)
}

var notInNames = regexp.MustCompile(`[^a-z0-9._-]+`)

// ollamaName is a name that Ollama takes for a model, after its file's.
func ollamaName(file string) string {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(file)), ".gguf")
	return cmp.Or(strings.Trim(notInNames.ReplaceAllString(name, "-"), "-._"), "pruned")
}
