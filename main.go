// Ggufprune removes single attention and FFN blocks from GGUF models, chosen by perplexity, and writes smaller GGUFs that
// stock llama.cpp runs. See "ggufprune help".
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ggufprune/ggufprune/internal/cli"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code. The first Ctrl-C or SIGTERM cancels the work, which then cleans
// up after itself; the second one kills the process as usual.
func run() (code int) {
	defer func() {
		if p := recover(); p != nil {
			code = fail(fmt.Errorf("internal error: %v; please report it with the command line and the model's name", p))
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	err := cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr})
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
