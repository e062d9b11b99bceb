package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
)

// Exit codes of the program, documented in usage and docs/CLI_JSON.md.
const (
	ExitOK          = 0
	ExitFailure     = 1   // input, output or resources: the message says which
	ExitUsage       = 2   // the command line itself
	ExitUnsupported = 3   // a model, or a mask on it, that cannot be pruned exactly
	ExitCheckFailed = 4   // the written file did not compute what was measured; it was removed
	ExitInterrupted = 130 // Ctrl-C or SIGTERM
)

// ExitCode returns the process's exit code for the error of Run.
func ExitCode(err error) int {
	var (
		usage   *flags.Error
		refused *layout.RefusedError
		failure *engine.Error
		check   *pipeline.CheckError
		unfit   *pipeline.UnsupportedError
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &check):
		return ExitCheckFailed
	case errors.As(err, &refused), errors.As(err, &unfit):
		return ExitUnsupported
	case errors.As(err, &failure) && failure.Code == engine.Cancelled:
		return ExitInterrupted
	case errors.As(err, &failure) && failure.Code == engine.UnsupportedArch:
		return ExitUnsupported
	default:
		return ExitFailure
	}
}

// Message returns err as the one line that the program prints.
func Message(err error) string {
	if ExitCode(err) == ExitInterrupted {
		return "interrupted"
	}
	return ui.Plain(strings.Join(strings.Fields(err.Error()), " "))
}
