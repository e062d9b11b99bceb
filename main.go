// Ggufprune removes single attention and FFN blocks from GGUF models, chosen by perplexity, and writes smaller GGUFs that
// stock llama.cpp runs. See "ggufprune help".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ggufprune/ggufprune/internal/cli"
	"github.com/ggufprune/ggufprune/internal/interrupt"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/llamabind"
)

func main() { os.Exit(run()) }

// grace is how long a search may go on after the first Ctrl-C to end its evaluation, so that its outcome is kept.
const grace = 1500 * time.Millisecond

// run executes the command line and returns the exit code. The first Ctrl-C or SIGTERM lets a search end its evaluation and cancels
// all other work, which then cleans up after itself; the second one cancels at once; the third kills the process as usual.
func run() (code int) {
	if code, child := quantproc.Dispatch(llamabind.Runtime{}); child {
		return code
	}
	defer func() {
		if p := recover(); p != nil {
			code = fail(fmt.Errorf("internal error: %v; please report it with the command line and the model's name", p))
		}
	}()
	if llamabind.StdoutClosed() {
		return fail(errors.New("standard output is closed, so that results would be lost; redirect it to a file, or to /dev/null"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	flag := new(interrupt.Flag)
	ctx = interrupt.With(ctx, flag)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		if flag.Request() {
			select {
			case <-signals:
			case <-time.After(grace):
			}
		}
		cancel()
		signal.Stop(signals)
	}()
	err := cli.Run(ctx, os.Args[1:], cli.Env{Engine: llamabind.Runtime{}, Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		return fail(err)
	}
	return cli.ExitOK
}

// fail prints err as one line and returns its exit code.
func fail(err error) int {
	fmt.Fprintf(os.Stderr, "ggufprune: %s\n", cli.Message(err))
	return cli.ExitCode(err)
}
