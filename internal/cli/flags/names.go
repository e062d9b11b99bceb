package flags

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/modelref"
)

// What the value of a flag may name, for completions. The names are looked up when they are asked for.
const (
	models       = "models"
	repositories = "repositories"
	fileTypes    = "file types"
	rivals       = "rivals"
)

// nameOf says whose names a flag's value may be.
func nameOf(fs *pflag.FlagSet, name, what string) { annotate(fs.Lookup(name), namesKey, what) }

// Completion returns what completes a flag's value.
func Completion(e engine.Quantizer, f *pflag.Flag) cobra.CompletionFunc {
	switch annotation(f, namesKey) {
	case models:
		return CompleteModels
	case repositories:
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return modelref.System().Repositories(), cobra.ShellCompDirectiveNoFileComp
		}
	case fileTypes:
		return CompleteFileTypes(e)
	case rivals:
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return slices.Concat([]string{compare.RivalAuto, compare.RivalOff}, compare.RivalTypes()), keepOrder
		}
	}
	if choices := ChoicesOf(f); len(choices) > 0 {
		return cobra.FixedCompletions(choices, keepOrder)
	}
	switch value := Value(f); {
	case strings.HasSuffix(value, "FILE"):
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	case value == "DIR":
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	default:
		return cobra.NoFileCompletions
	}
}

const keepOrder = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder

// CompleteModels completes a model: the names of Ollama's and LM Studio's for a word that begins like one, else GGUF files.
func CompleteModels(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	if word != "" {
		names := modelref.System().Names()
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, word) })
		if len(names) > 0 {
			return names, cobra.ShellCompDirectiveNoFileComp
		}
	}
	return []string{"gguf"}, cobra.ShellCompDirectiveFilterFileExt
}

// CompleteFileTypes completes what a model is quantised to.
func CompleteFileTypes(e engine.Quantizer) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, t := range e.FileTypes() {
			out = append(out, t.Name)
		}
		return out, keepOrder
	}
}
