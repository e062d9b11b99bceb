package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

// lookup returns the command of a name, or nil.
func lookup(root *cobra.Command, name string) *cobra.Command {
	for _, cmd := range root.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

// unknown is the error for a command that does not exist. where is the command that was to deal with it, "" for none.
func unknown(root *cobra.Command, where, name string) error {
	if where != "" {
		where += ": "
	}
	root.SuggestionsMinimumDistance = 2 // letters to add, drop or change
	if like := root.SuggestionsFor(name); len(like) > 0 && !strings.HasPrefix(name, "-") {
		return flags.Errorf("%sunknown command %q; did you mean %s? See ggufprune help", where, name, strings.Join(like, " or "))
	}
	return flags.Errorf("%sunknown command %q; see ggufprune help", where, name)
}
