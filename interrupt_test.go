package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C in the middle of a search: exit code 130 within two seconds, one line, no model, and the plan so far, which can be
// applied.
func TestInterrupt(t *testing.T) {
	t.Setenv("OMP_WAIT_POLICY", "passive")
	model, err := filepath.Abs(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text.txt"), []byte(plainText(48)), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, dir, "prune", "--repair", "off", "--no-compare", "-m", model, "-f", "text.txt", "-c", "128", "--ratio", "0.7", "-o", "out.gguf", "--plan", "plan.json")
	p.waitFor(t, "step 2: ")
	interruptAfter(t, p, dir)
	apply := exec.Command("ggufprune", "apply", "--repair", "off", "-m", model, "--plan", "plan.json", "--blocks", "2", "-f", "text.txt", "-c", "128", "-o", "out.gguf")
	apply.Dir = dir
	if msg, err := apply.CombinedOutput(); err != nil {
		t.Errorf("the plan so far cannot be applied: %v\n%s", err, msg)
	}
}

// In the midst of a repair there is nothing to keep.
func TestInterruptRepair(t *testing.T) {
	t.Setenv("OMP_WAIT_POLICY", "passive")
	model, err := filepath.Abs(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := startProgram(t, dir, "apply", "-m", model, "--mask", "attn:3", "-c", "128", "-o", "out.gguf", "--repair", "auto", "--repair-type", "F16")
	p.waitFor(t, " blocks, on ")
	interruptAfter(t, p, dir)
}

// interrupt presses Ctrl-C, and makes sure that the program in dir ends soon, as interrupted, and leaves no model behind.
func interruptAfter(t *testing.T, p *program, dir string) {
	t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := p.cmd.Wait()
	took := time.Since(begin)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("ended with %v, want exit code 130; it said:\n%s", err, p.text())
	}
	if took > 2*time.Second {
		t.Errorf("took %v to stop", took)
	}
	if !strings.HasSuffix(p.text(), "\nggufprune: interrupted\n") {
		t.Errorf("last words: %q", p.text())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	hidden, err2 := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || err2 != nil || len(files)+len(hidden) > 0 {
		t.Errorf("left behind: %v %v (%v, %v)", files, hidden, err, err2)
	}
}
