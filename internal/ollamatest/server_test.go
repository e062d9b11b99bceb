//go:build cgo

package ollamatest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	root = "../.."
	tiny = root + "/testdata/tiny-11m-Q8_0.gguf"
)

var (
	binary  string // ollama
	dir     string // of all files of the tests
	program string // ggufprune
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binary, err = filepath.Abs(root + "/third_party/ollama/bin/ollama"); err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		binary = "" // each test says so
		return m.Run()
	}
	if dir, err = os.MkdirTemp("", "ggufprune-ollama-*"); err != nil {
		fmt.Fprintln(os.Stderr, "ollamatest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "ggufprune")
	if out, err := exec.Command("go", "build", "-o", program, root).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "ollamatest: build: %v: %s\n", err, out)
		return 1
	}
	stop, err := serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ollamatest:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// serve starts the server on a free port, with a home and a store of its own, and points this process's environment at it.
func serve() (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	for key, value := range map[string]string{
		"OLLAMA_HOST": address, "OLLAMA_MODELS": filepath.Join(dir, "models"), "OLLAMA_NUM_PARALLEL": "1", "OMP_WAIT_POLICY": "passive",
	} {
		if err := os.Setenv(key, value); err != nil {
			return nil, err
		}
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "serve")
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "home"))
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill() //nolint:errcheck
		}
	}
	for range 300 {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("ollama serve ended: %w: %s", err, log.Bytes())
		case <-time.After(100 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", address); err == nil {
			return stop, c.Close()
		}
	}
	stop()
	return nil, errors.New("ollama serve does not answer within 30 s")
}

// needServer skips the test where Ollama is not built. make test-ollama builds it, and lets nothing be skipped.
func needServer(t *testing.T) {
	t.Helper()
	if binary == "" && os.Getenv("NEED_OLLAMA") != "" {
		t.Fatal("no Ollama server in third_party/ollama/bin; run: make test-ollama")
	}
	if binary == "" {
		t.Skip("no Ollama server in third_party/ollama/bin: make test-ollama builds one")
	}
}

// ggufprune runs the program in folder and returns its standard output.
func ggufprune(t *testing.T, folder string, args ...string) string {
	t.Helper()
	return output(t, folder, program, args...)
}

// ollamaCLI runs Ollama's own client.
func ollamaCLI(t *testing.T, folder string, args ...string) string {
	t.Helper()
	return output(t, folder, binary, args...)
}

func output(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(slices.Clone(os.Environ()), "HOME="+filepath.Join(dir, "home"))
	cmd.Dir = folder
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v: %s", filepath.Base(name), strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}
