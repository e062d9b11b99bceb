package ollama

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/modelref"
)

// Modelfile is the text of the Modelfile called name, from which "ollama create" makes a model of the GGUF file beside it, with what the parent has besides
// its weights. parent may be nil: Ollama then looks for a template that it knows in the file's metadata.
func Modelfile(name, file string, parent *modelref.Ollama) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# ollama create NAME -f %s\n", filepath.Base(name))
	if parent != nil {
		fmt.Fprintf(&b, "# Pruned from %s, whose template, parameters, system prompt and licences these are.\n", parent.Name)
	}
	fmt.Fprintf(&b, "FROM ./%s\n", filepath.Base(file))
	if parent == nil {
		return b.String()
	}
	for _, p := range parent.Projectors {
		fmt.Fprintf(&b, "FROM %s\n", p)
	}
	word(&b, "RENDERER", parent.Renderer)
	word(&b, "PARSER", parent.Parser)
	long(&b, "TEMPLATE", parent.Template)
	parameters(&b, parent.Parameters)
	long(&b, "SYSTEM", parent.System)
	for _, m := range parent.Messages {
		long(&b, "MESSAGE "+m.Role, m.Content)
	}
	for _, l := range parent.Licenses {
		long(&b, "LICENSE", l)
	}
	return b.String()
}

func word(b *strings.Builder, instruction, value string) {
	if value != "" {
		fmt.Fprintf(b, "%s %s\n", instruction, value)
	}
}

// long writes a text of any number of lines.
func long(b *strings.Builder, instruction, text string) {
	if text == "" {
		return
	}
	if !quotable(text) {
		fmt.Fprintf(b, "# %s: left out, it cannot be written in a Modelfile\n", instruction)
		return
	}
	fmt.Fprintf(b, "%s \"\"\"%s\"\"\"\n", instruction, text)
}

// quotable reports whether text can stand between """: Ollama's parser ends it at the first line that ends with them.
func quotable(text string) bool {
	lines := strings.Split(text, "\n")
	return !slices.ContainsFunc(lines[:len(lines)-1], func(l string) bool { return strings.HasSuffix(strings.TrimSpace(l), `"""`) })
}

// parameters writes them in alphabetical order; one with several values, such as stop, has a line for each.
func parameters(b *strings.Builder, params map[string]any) {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values, ok := params[name].([]any)
		if !ok {
			values = []any{params[name]}
		}
		for _, v := range values {
			s, isString := v.(string)
			switch {
			case !isString:
				fmt.Fprintf(b, "PARAMETER %s %v\n", name, v)
			case strings.ContainsAny(s, "\"\n"):
				long(b, "PARAMETER "+name, s)
			default:
				fmt.Fprintf(b, "PARAMETER %s \"%s\"\n", name, s)
			}
		}
	}
}
