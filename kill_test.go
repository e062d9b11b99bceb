//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// searchCommand is a search of some seconds on the small model; testscript.Main has put the program into PATH.
func searchCommand(ctx context.Context, t *testing.T, plan string, more ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	text := filepath.Join(filepath.Dir(plan), "text.txt")
	if err := os.WriteFile(text, []byte(plainText(24)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"search", "-m", tinyModel, "-f", text, "--chunks", "16", "-c", "64", "-t", "1", "--plan", plan}
	if !slices.Contains(more, "--blocks") {
		args = append(args, "--blocks", "4")
	}
	cmd := exec.CommandContext(ctx, "ggufprune", append(args, more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// decisions is a plan without what the machine's speed has put into it.
func decisions(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	for _, s := range plan["steps"].([]any) {
		delete(s.(map[string]any), "speedup")
	}
	out, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Killed by SIGKILL at any moment, a search goes on from its journal and ends with the same plan, also where the plan depends on the
// machine's speed (--time). `make bench-search` does it fifty times.
func TestKilledSearchResumes(t *testing.T) {
	t.Run("fast", func(t *testing.T) { killAndResume(t, 4) })
	t.Run("time", func(t *testing.T) { killAndResume(t, 2, "--time", "30m") })
	t.Run("refine", func(t *testing.T) { killAndResume(t, 2, "--strategy", "refine") })
	t.Run("aware", func(t *testing.T) { killAndResume(t, 1, "--strategy", "aware", "--blocks", "2") })
}

func killAndResume(t *testing.T, kills int, more ...string) {
	t.Helper()
	t.Parallel() // each program has one thread
	dir := t.TempDir()
	calm := filepath.Join(dir, "calm.json")
	cmd, stderr := searchCommand(t.Context(), t, calm, more...)
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	took := time.Since(begin)
	want := decisions(t, calm)
	rng := rand.New(rand.NewPCG(1, 9))
	path := filepath.Join(dir, "killed.json")
	for range kills {
		cmd, _ := searchCommand(t.Context(), t, path, more...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration((0.1 + 0.5*rng.Float64()) * float64(took)))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := os.Stat(path); err == nil {
			break // it was done before
		}
	}
	cmd, stderr = searchCommand(t.Context(), t, path, more...)
	if err := cmd.Run(); err != nil && !bytes.Contains(stderr.Bytes(), []byte("--force")) {
		t.Fatalf("%v: %s", err, stderr)
	}
	if got := decisions(t, path); got != want {
		t.Errorf("the resumed search ended with another plan:\n%s\nwant:\n%s", got, want)
	}
	if _, err := os.Stat(path + ".journal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
}

// The first Ctrl-C ends the evaluation and saves what there is, within two seconds; the same command goes on from there. SIGUSR1 on the
// way only prints the status.
func TestInterruptedSearch(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.json")
	cmd, stderr := searchCommand(t.Context(), t, plan)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for { // until something was measured
		if info, err := os.Stat(plan + ".journal"); err == nil && info.Size() > 2000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was measured in a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("ended with %v, want exit code 130: %s", err, stderr)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	if !bytes.Contains(stderr.Bytes(), []byte("running for ")) {
		t.Errorf("no status was printed: %s", stderr)
	}
	if _, err := os.Stat(plan + ".journal"); err != nil {
		t.Errorf("the journal is gone: %v", err)
	}
	cmd, stderr = searchCommand(t.Context(), t, plan)
	if err := cmd.Run(); err != nil {
		t.Fatalf("resuming: %v: %s", err, stderr)
	}
	if !bytes.Contains(stderr.Bytes(), []byte("measurements are there")) {
		t.Errorf("it began anew: %s", stderr)
	}
}
