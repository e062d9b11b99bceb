//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repairCommand is a repair of some seconds on the small model.
func repairCommand(ctx context.Context, t *testing.T, out string, more ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	args := []string{"apply", "-m", tinyModel, "--mask", "attn:3,ffn:5", "--repair", "full", "--repair-tokens", "4096", "-c", "64", "-t", "1", "-o", out, "--no-check"}
	cmd := exec.CommandContext(ctx, "ggufprune", append(args, more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// Killed by SIGKILL when some blocks are done, a repair goes on from what it kept and writes the same file; then nothing of it is left.
func TestKilledRepairResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	calm, out := filepath.Join(dir, "calm.gguf"), filepath.Join(dir, "out.gguf")
	if cmd, stderr := repairCommand(t.Context(), t, calm); cmd.Run() != nil {
		t.Fatal(stderr)
	}
	journal, weights := out+".repair.journal", out+".repair.weights"
	for _, done := range []int{1, 4} {
		cmd, stderr := repairCommand(t.Context(), t, out)
		killWhen(t, cmd, stderr, journal, done)
	}
	// The end of the weights was not written.
	info, err := os.Stat(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(weights, info.Size()-1000); err != nil {
		t.Fatal(err)
	}
	cmd, stderr := repairCommand(t.Context(), t, out, "-f", filepath.Join("testdata", "simple.jsonl"))
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "is of another repair: the calibration text differs") {
		t.Errorf("another text was taken: %v %s", err, stderr)
	}
	cmd, stderr = repairCommand(t.Context(), t, out)
	if err := cmd.Run(); err != nil || !strings.Contains(stderr.String(), "the repair goes on from out.gguf.repair.journal") {
		t.Fatalf("%v %s", err, stderr)
	}
	same(t, calm, out)
	for _, path := range []string{journal, weights} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// same compares two files.
func same(t *testing.T, want, got string) {
	t.Helper()
	a, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(got)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%s and %s differ: %d and %d bytes, %v", want, got, len(a), len(b), err)
	}
}

// killWhen kills a program when the journal of its repair says that so many blocks are done.
func killWhen(t *testing.T, cmd *exec.Cmd, stderr *bytes.Buffer, journal string, done int) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for kept := 0; kept < done; {
		select {
		case err := <-ended:
			t.Fatalf("it ended before %d blocks were done: %v %s", done, err, stderr)
		case <-time.After(2 * time.Millisecond):
			data, _ := os.ReadFile(journal)
			kept = bytes.Count(data, []byte(`"note":"repair/`)) - 1 // one is the loss before
		}
	}
	_ = cmd.Process.Kill()
	<-ended
}
