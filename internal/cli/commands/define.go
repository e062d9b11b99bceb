package commands

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// Define completes cmd, which runs on e: it gets the flags that addFlags adds (nil for none), those of every command, completions of their values,
// and run as what it does. Without cmd.Args it takes no arguments.
func Define(e engine.Runtime, cmd *cobra.Command, addFlags func(fs *pflag.FlagSet), run func(cmd *cobra.Command, args []string, u *ui.UI) error) *cobra.Command {
	var common flags.Common
	fs := cmd.Flags()
	fs.SortFlags = false
	if addFlags != nil {
		addFlags(fs)
	}
	common.AddFlags(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if flags.Value(f) != "" {
			// It fails for flags that cmd has not, or that have a completion.
			if err := cmd.RegisterFlagCompletionFunc(f.Name, flags.Completion(e, f)); err != nil {
				panic(err)
			}
		}
	})
	cmd.DisableFlagsInUseLine = true
	if cmd.Args == nil {
		cmd.Args = noArguments
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		u, err := common.Resolve(cmd.OutOrStdout(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer u.ListenStatus()()
		e.SetLogger(u.Logger())
		if err := flags.CheckEmpty(cmd.Flags()); err != nil {
			return err
		}
		if err := run(cmd, args, u); err != nil {
			return err
		}
		return u.Err()
	}
	return cmd
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return flags.Errorf("%s: unexpected argument %q; see ggufprune help %[1]s", cmd.Name(), args[0])
	}
	return nil
}

// completeModels completes the first n arguments as models.
func completeModels(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return flags.CompleteModels(cmd, args, word)
	}
}

type commandLineKey struct{}

// WithCommandLine keeps the words of the command line, which a report repeats; args lack the program's name.
func WithCommandLine(ctx context.Context, args []string) context.Context {
	return context.WithValue(ctx, commandLineKey{}, append([]string{"ggufprune"}, args...))
}

// commandLine returns what WithCommandLine kept, with the program's name in front.
func commandLine(ctx context.Context) []string {
	words, _ := ctx.Value(commandLineKey{}).([]string)
	return words
}
