package main

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is a running ggufprune whose standard error is collected.
type program struct {
	cmd *exec.Cmd

	mu  sync.Mutex
	err bytes.Buffer
}

// startProgram starts ggufprune in dir. It is killed when the test ends before it.
func startProgram(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command("ggufprune", args...)}
	p.cmd.Dir, p.cmd.Stderr = dir, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill() //nolint:errcheck // it may just have ended
			p.cmd.Wait()         //nolint:errcheck
		}
	})
	return p
}

// Write collects standard error.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

// waitFor waits until standard error holds text.
func (p *program) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(p.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("standard error never said %q:\n%s", text, p.text())
		}
	}
}
