package flags

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/llamabind"
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
func Completion(f *pflag.Flag) cobra.CompletionFunc {
	switch annotation(f, namesKey) {
	case models:
		return CompleteModels
	case repositories:
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return modelref.System().Repositories(), cobra.ShellCompDirectiveNoFileComp
		}
	case fileTypes:
		return CompleteFileTypes
	case rivals:
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return slices.Concat([]string{pipeline.RivalAuto, pipeline.RivalOff}, pipeline.RivalTypes()), keepOrder
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
func CompleteFileTypes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, t := range llamabind.FileTypes() {
		out = append(out, t.Name)
	}
	return out, keepOrder
}
