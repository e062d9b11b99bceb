package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/commands"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

// groups lists the commands under the headings of the help. A new command is one more line here.
func groups(e engine.Runtime) []group {
	return []group{
		{"Make a smaller model", []*cobra.Command{
			commands.NewPruneCmd(e),
			commands.NewSearchCmd(e),
			commands.NewApplyCmd(e),
			commands.NewRepairCmd(e),
			commands.NewQuantizeCmd(e),
		}},
		{"Look at models", []*cobra.Command{
			commands.NewCompareCmd(e),
			commands.NewPPLCmd(e),
			commands.NewEvalCmd(e),
			commands.NewReportCmd(e),
			commands.NewInspectCmd(e),
			commands.NewDemoCmd(e),
		}},
		{"About the program", []*cobra.Command{
			commands.NewVersionCmd(e),
			newCompletionCmd(e),
			newManCmd(e),
			newHelpCmd(),
		}},
	}
}

// group is some commands under a heading.
type group struct {
	heading  string
	commands []*cobra.Command
}

// newRoot returns the program with all its commands.
func newRoot(e engine.Runtime) *cobra.Command {
	root := &cobra.Command{
		Use:   "ggufprune",
		Short: "take blocks that are not needed out of a GGUF language model",
		Long: `Removes single attention and FFN blocks from a GGUF model, chosen by perplexity (BlockPruner), and writes a smaller GGUF
that stock llama.cpp runs.`,
		Example:           "  ggufprune prune -m model.gguf --ratio 0.2\n  ggufprune inspect -m model.gguf",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	for _, g := range groups(e) {
		root.AddGroup(&cobra.Group{ID: g.heading, Title: g.heading})
		for _, cmd := range g.commands {
			cmd.GroupID = g.heading
			root.AddCommand(cmd)
			if cmd.Name() == "help" {
				root.SetHelpCommand(cmd)
			}
		}
	}
	root.SetGlobalNormalizationFunc(flags.NormalizeName)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, _ = io.WriteString(cmd.OutOrStdout(), usage(cmd)) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return flags.Errorf("%s: %v; see ggufprune help %[1]s", cmd.Name(), err)
	})
	return root
}

// Env is what a run works with.
type Env struct {
	Engine   engine.Runtime // runs the models
	Out, Err io.Writer      // where it prints
}

// Run executes one command line, without the program's name. The error's Message and ExitCode tell how it ended.
func Run(ctx context.Context, args []string, env Env) error {
	root := newRoot(env.Engine)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	if len(args) == 0 {
		_, _ = io.WriteString(env.Err, usage(root))
		return flags.Errorf("no command given; see ggufprune help")
	}
	words := slices.Clone(args)
	switch words[0] {
	case cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return complete(ctx, root, words)
	case "-h", "--help":
		words[0] = "help"
	case "--version":
		words[0] = "version"
	}
	cmd := lookup(root, words[0])
	if cmd == nil {
		return unknown(root, "", words[0])
	}
	rest, _ := flags.NormalizeArgs(cmd.Flags(), words[1:])
	root.SetArgs(append(words[:1], rest...))
	return root.ExecuteContext(commands.WithCommandLine(ctx, args))
}
