package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/llamabind"
)

// Streams are where a run prints.
type Streams struct{ Out, Err io.Writer }

// command is one subcommand.
type command interface {
	// flags defines the command's own flags.
	flags(fs *pflag.FlagSet)
	// usage is the text of "ggufprune help <command>".
	usage() string
	// run does the work after the flags are parsed.
	run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error
}

// Run executes one command line, without the program's name. The error's Message and ExitCode tell how it ended.
func Run(ctx context.Context, args []string, s Streams) error {
	if len(args) == 0 {
		fmt.Fprint(s.Err, usage)
		return usagef("no command given; see ggufprune help")
	}
	cmd, rest := args[0], args[1:]
	switch cmd {
	case "help", "-h", "--help":
		return help(rest, s.Out)
	case "--version":
		cmd = "version"
	}
	c := lookup(cmd)
	if c == nil {
		return usagef("unknown command %q; see ggufprune help", cmd)
	}
	return execute(withCommandLine(ctx, args), cmd, c, rest, s)
}

// lookup returns a fresh command by its name, or nil.
func lookup(name string) command {
	switch name {
	case "prune":
		return new(pruneCommand)
	case "search":
		return new(searchCommand)
	case "apply":
		return new(applyCommand)
	case "quantize":
		return new(quantizeCommand)
	case "compare":
		return new(compareCommand)
	case "ppl":
		return new(pplCommand)
	case "eval":
		return new(evalCommand)
	case "report":
		return new(reportCommand)
	case "inspect":
		return new(inspectCommand)
	case "demo":
		return new(demoCommand)
	case "version":
		return new(versionCommand)
	default:
		return nil
	}
}

// execute parses a command's flags and runs it.
func execute(ctx context.Context, name string, c command, args []string, s Streams) error {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetNormalizeFunc(normalizeName)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	var common commonFlags
	common.add(fs)
	c.flags(fs)
	err := fs.Parse(normalizeArgs(fs, args))
	switch {
	case errors.Is(err, pflag.ErrHelp):
		_, err := io.WriteString(s.Out, c.usage())
		return err
	case err != nil:
		return usagef("%s: %v; see ggufprune help %s", name, err, name)
	case fs.NArg() > 0 && !takesArguments(c):
		return usagef("%s: unexpected argument %q; see ggufprune help %s", name, fs.Arg(0), name)
	}
	u, err := common.ui(s)
	if err != nil {
		return err
	}
	defer u.ListenStatus()()
	llamabind.SetLogger(u.Logger())
	return c.run(ctx, fs, u)
}

// help prints the program's usage, or a command's.
func help(args []string, w io.Writer) error {
	text := usage
	if len(args) > 0 {
		c := lookup(args[0])
		if c == nil {
			return usagef("help: unknown command %q; see ggufprune help", args[0])
		}
		text = c.usage()
	}
	_, err := io.WriteString(w, text)
	return err
}

const usage = `Usage: ggufprune <command> [flags]

Removes single attention and FFN blocks from a GGUF model, chosen by perplexity (BlockPruner), and writes a smaller GGUF
that stock llama.cpp runs.

Commands:
  prune     search, write and check a pruned model: the whole job
  search    only search, and save the plan
  apply     only write and check: a plan's or a given mask's blocks removed
  quantize  quantise a model with llama.cpp's quantiser
  compare   models side by side: quality, size and speed; two models in a running Ollama
  ppl       perplexity of a model, or of a model with blocks left out
  eval      accuracy on multiple-choice tasks: HellaSwag, WinoGrande, PIQA, ARC
  report    a page of a plan: curves, importance of blocks, provenance
  inspect   a model's blocks, their sizes, and what could be removed how
  demo      prune the small model that comes with the source
  version   version of this program and of its llama.cpp
  help      this text, or a command's: ggufprune help prune

Examples:
  ggufprune prune -m model.gguf --ratio 0.2
  ggufprune inspect -m model.gguf

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 model or mask not supported, 4 the written file failed its check (it is
removed), 130 interrupted.
`
