package pipeline

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

func openLog(t *testing.T, output, model string) (*repairLog, error) {
	t.Helper()
	l, err := openRepairLog(output, search.Header{ModelSHA256: model, Config: json.RawMessage("{}")})
	if l != nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

// What was kept is there when the log is opened again, unless it is damaged: then it is not there at all.
func TestRepairLog(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	l, err := openLog(t, out, "m")
	if err != nil {
		t.Fatal(err)
	}
	if l.Kept() {
		t.Error("a new log has something")
	}
	if _, err := openLog(t, out, "m"); !errors.Is(err, search.ErrLocked) {
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
	if _, err := openLog(t, out, "other"); err == nil || !strings.Contains(err.Error(), "is of another repair: the model differs; delete it to start anew") {
		t.Error(err)
	}
	path, weights := repairLogPaths(out)
	raw, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	raw[bytes.Index(raw, two)] ^= 1
	if err := os.WriteFile(weights, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = openLog(t, out, "m"); err != nil {
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
	if l, err = openLog(t, out, "m"); err != nil {
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

// Weights that cannot be kept are an error in plain words.
func TestRepairLogWithoutPlace(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	_, weights := repairLogPaths(out)
	if err := os.Mkdir(weights, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := openLog(t, out, "m"); err == nil || !strings.HasPrefix(err.Error(), "the repair's weights: ") {
		t.Error(err)
	}
}
