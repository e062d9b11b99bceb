// Package quantproc runs llama.cpp's quantiser in a process of its own: this program again, told by an environment variable.
//
// The quantiser cannot be interrupted within a tensor, which takes minutes for a large one in some types, and an assertion
// that fails in one of its threads (weights or importances of another model can do that) ends the process it is in. A child
// can be killed at once, and when it dies, the parent still removes the file and says why.
//
// The request goes to the child's standard input in gob encoding, because importances are many numbers. Events come back
// as JSON, one a line, on file descriptor 3: what ggml prints cannot come between. The child ends when its input does, so it
// does not outlive a parent that was killed.
package quantproc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// variable tells a process that it is the child.
const variable = "GGUFPRUNE_QUANTIZE_CHILD"

// Request is what to quantise.
type Request struct {
	In, Out string
	Params  engine.QuantizeParams
}

// event is a line from the child: a tensor, or the end.
type event struct {
	I, N int
	Name string       `json:",omitempty"`
	End  bool         `json:",omitempty"`
	Text string       `json:",omitempty"` // of the error that it ended with
	Code *engine.Code `json:",omitempty"`
}

// dispatched is set by a program that can be its own child.
var dispatched bool

// Dispatch must be the first call of a program's main. In a child it does the work and returns true, and the exit code.
func Dispatch() (code int, child bool) {
	dispatched = true
	if os.Getenv(variable) == "" {
		return 0, false
	}
	return serve(os.Stdin, os.NewFile(3, "events")), true
}

// serve is the child.
func serve(in io.Reader, events io.Writer) int {
	var q Request
	r := bufio.NewReader(in)
	if err := gob.NewDecoder(r).Decode(&q); err != nil {
		fmt.Fprintln(os.Stderr, "no request:", err)
		return 1
	}
	var done atomic.Bool
	go func() {
		io.Copy(io.Discard, r) //nolint:errcheck // its end is all that counts
		if !done.Load() {      // the parent is gone
			os.Remove(q.Out)
			os.Exit(1)
		}
	}()
	out := json.NewEncoder(events)
	err := llamabind.QuantizeModel(context.Background(), q.In, q.Out, q.Params, func(i, n int, name string) {
		out.Encode(event{I: i, N: n, Name: name}) //nolint:errcheck // without a reader the input ends, too
	})
	done.Store(true)
	end := event{End: true}
	var e *engine.Error
	switch {
	case errors.As(err, &e):
		end.Text, end.Code = e.Text, &e.Code
	case err != nil:
		end.Text = err.Error()
	}
	if out.Encode(end) != nil {
		return 1
	}
	return 0
}

// Run quantises, as llamabind.QuantizeModel does, but ends at once with ctx's error when ctx ends. What is written of q.Out
// stays after an error. In a program that did not call Dispatch it runs in this process.
func Run(ctx context.Context, q Request, progress func(i, n int, name string)) error {
	if !dispatched {
		return llamabind.QuantizeModel(ctx, q.In, q.Out, q.Params, progress)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd, stderr := command(ctx, write)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		write.Close()
		return err
	}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("start the quantiser: %w", err)
	}
	sent := gob.NewEncoder(stdin).Encode(q) // stdin stays open: its end means that the parent is gone
	end, ended := follow(read, progress)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ended && end.Code != nil:
		return &engine.Error{Code: *end.Code, Op: "quantize", Text: end.Text}
	case ended && end.Text != "":
		return errors.New("quantize: " + end.Text)
	case ended:
		return nil
	}
	return died(errors.Join(err, sent), stderr.String())
}

// command is this program as a child. Its group is its own, so that Ctrl-C reaches the parent only, which kills it.
func command(ctx context.Context, events *os.File) (*exec.Cmd, *bytes.Buffer) {
	self, err := os.Executable()
	if runtime.GOOS == "linux" || err != nil {
		self = "/proc/self/exe" // this very file, though another has its name by now
	}
	cmd := exec.CommandContext(ctx, self, "quantize")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.ExtraFiles = []*os.File{events}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}

// follow reads the child's events until it ends.
func follow(r io.Reader, progress func(i, n int, name string)) (end event, ended bool) {
	dec := json.NewDecoder(r)
	for {
		var e event
		if dec.Decode(&e) != nil || e.End {
			return e, e.End
		}
		if progress != nil {
			progress(e.I, e.N, e.Name)
		}
	}
}

// assertion is what ggml prints when it aborts: file, line, what.
var assertion = regexp.MustCompile(`(?m)^\S+:\d+: (.+)$`)

// died makes one line of a child's unexpected end.
func died(err error, stderr string) error {
	if m := assertion.FindStringSubmatch(stderr); m != nil {
		return &engine.Error{
			Code: engine.Internal, Op: "quantize",
			Text: fmt.Sprintf("llama.cpp's quantiser gave up: %s; choose another type, or another importance matrix", strings.TrimSpace(m[1])),
		}
	}
	if err == nil {
		err = errors.New("it ended without a result")
	}
	return &engine.Error{Code: engine.Internal, Op: "quantize", Text: fmt.Sprintf("the quantiser's process died: %v; is there enough memory?", err)}
}
