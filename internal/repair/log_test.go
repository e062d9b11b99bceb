package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/search"
)

func open(t *testing.T, output, model string) (*Log, error) {
	t.Helper()
	l, err := openLog(output, search.Header{ModelSHA256: model, Config: json.RawMessage("{}")}, false)
	if l != nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

// What is in the way is told before the work; what another repair has left is replaced only where that was said.
func TestRepairLogInTheWay(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	journal, weights := logPaths(out)
	long := filepath.Join(dir, strings.Repeat("c", 240)+".gguf")
	if err := CheckLog(long); err == nil || !strings.Contains(err.Error(), "give the output another name, or use --repair off") {
		t.Errorf("a name too long: %v", err)
	}
	other := filepath.Join(dir, "other.gguf")
	for path, make := range map[string]func(string) error{
		journal: func(p string) error { return os.Mkdir(p, 0o755) },
		weights: func(p string) error { return os.Symlink(other, p) },
	} {
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, out, "m"); err == nil || !strings.Contains(err.Error(), path+", which is no regular file; move it away") {
			t.Error(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(weights, []byte("whose?"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, out, "m"); err == nil || !strings.Contains(err.Error(), "is there without out.gguf.repair.journal") {
		t.Error(err)
	}
	if err := os.Remove(weights); err != nil {
		t.Fatal(err)
	}
	l, err := open(t, out, "m")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.KeepWeights("a", []byte("weights")), l.Close()); err != nil {
		t.Fatal(err)
	}
	l, err = openLog(out, search.Header{ModelSHA256: "other", Config: json.RawMessage("{}")}, true)
	if err != nil || !l.replaced || l.Kept() || l.end != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	if err := l.Remove(); err != nil {
		t.Error(err)
	}
}

// What was kept is there when the log is opened again, unless it is damaged: then it is not there at all.
func TestRepairLog(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	l, err := open(t, out, "m")
	if err != nil {
		t.Fatal(err)
	}
	if l.Kept() {
		t.Error("a new log has something")
	}
	if _, err := open(t, out, "m"); !errors.Is(err, search.ErrLocked) {
		t.Errorf("two have it open: %v", err)
	}
	one, two := []byte("weights of one"), []byte("those of another")
	for name, data := range map[string][]byte{"a": one, "b": two} {
		if err := l.KeepWeights(name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, out, "other"); err == nil || !strings.Contains(err.Error(), "is of another repair: the model differs; delete it to start anew") {
		t.Error(err)
	}
	path, weights := logPaths(out)
	raw, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	raw[bytes.Index(raw, two)] ^= 1
	if err := os.WriteFile(weights, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = open(t, out, "m"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"a": one, "b": nil, "c": nil} {
		if got, err := l.Weights(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(weights, 3); err != nil {
		t.Fatal(err)
	}
	if l, err = open(t, out, "m"); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Weights("a"); got != nil || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, weights} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", p, err)
		}
	}
}
