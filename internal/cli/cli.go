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
		fmt.Fprint(s.Err, programUsage())
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

// execute parses a command's flags and runs it.
func execute(ctx context.Context, name string, c command, args []string, s Streams) error {
	fs, common := flagSet(name, c)
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
	if err := c.run(ctx, fs, u); err != nil {
		return err
	}
	return u.Err()
}

// flagSet returns a command's flags, with those that all have.
func flagSet(name string, c command) (*pflag.FlagSet, *commonFlags) {
	fs, common := pflag.NewFlagSet(name, pflag.ContinueOnError), new(commonFlags)
	fs.SetNormalizeFunc(normalizeName)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	common.add(fs)
	c.flags(fs)
	return fs, common
}

// takesArguments reports whether c has arguments besides its flags.
func takesArguments(c command) bool {
	_, ok := c.(interface{ arguments() })
	return ok
}

// help prints the program's usage, or a command's.
func help(args []string, w io.Writer) error {
	text := programUsage()
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
