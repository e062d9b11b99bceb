package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ggufprune/ggufprune/internal/bench/machine"
)

// Usage is what a process took.
type Usage struct {
	CPU  float64 // seconds, user and system
	RSS  float64 // peak, MiB
	Wall time.Duration
}

// Spawn runs a program to its end. Its standard output goes to out; what it tells goes to this process's standard error. What a program that
// failed took comes with the error.
func Spawn(ctx context.Context, out io.Writer, program string, args ...string) (Usage, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it leaves nothing half-written then
	cmd.WaitDelay = 15 * time.Second
	begin := time.Now()
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", filepath.Base(program), strings.Join(args, " "), err)
	}
	if cmd.ProcessState == nil {
		return Usage{}, err
	}
	ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return Usage{}, errors.Join(err, errors.New("this system does not say what a process took"))
	}
	return Usage{(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), machine.MaxRSS(ru), time.Since(begin)}, err
}

// Build builds ggufprune in a folder, and returns where it is.
func Build(ctx context.Context, folder string) (string, error) {
	program := filepath.Join(folder, "ggufprune")
	if _, err := Spawn(ctx, os.Stderr, "go", "build", "-o", program, "github.com/ggufprune/ggufprune"); err != nil {
		return "", fmt.Errorf("%w; build it and name it with -program", err)
	}
	return program, nil
}
