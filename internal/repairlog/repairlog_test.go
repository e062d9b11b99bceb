package repairlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/journal"
)

func openLog(t *testing.T, output, model string) (*Log, error) {
	t.Helper()
	l, err := Open(output, journal.Header{ModelSHA256: model, Config: json.RawMessage("{}")}, false)
	if l != nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

// What is in the way is told before the work; what another repair has left is replaced only where that was said.
func TestRepairLogInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	index, weights := Paths(out)
	long := filepath.Join(dir, strings.Repeat("c", 240)+".gguf")
	if err := Check(long); err == nil || !strings.Contains(err.Error(), "give the output another name, or use --repair off") {
		t.Errorf("a name too long: %v", err)
	}
	other := filepath.Join(dir, "other.gguf")
	for path, make := range map[string]func(string) error{
		index:   func(p string) error { return os.Mkdir(p, 0o755) },
		weights: func(p string) error { return os.Symlink(other, p) },
	} {
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := openLog(t, out, "m"); err == nil || !strings.Contains(err.Error(), path+", which is no regular file; move it away") {
			t.Error(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(weights, []byte("whose?"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openLog(t, out, "m"); err == nil || !strings.Contains(err.Error(), "is there without out.gguf.repair.journal") {
		t.Error(err)
	}
	if err := os.Remove(weights); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(t, out, "m")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.KeepWeights("a", []byte("weights")), l.Close()); err != nil {
		t.Fatal(err)
	}
	l, err = Open(out, journal.Header{ModelSHA256: "other", Config: json.RawMessage("{}")}, true)
	if err != nil || !l.Replaced || l.Kept() || l.end != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	if err := l.Remove(); err != nil {
		t.Error(err)
	}
}

// What was kept is there when the log is opened again, unless it is damaged: then it is not there at all.
func TestRepairLog(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.gguf")
	l, err := openLog(t, out, "m")
	if err != nil {
		t.Fatal(err)
	}
	if l.Kept() {
		t.Error("a new log has something")
	}
	if _, err := openLog(t, out, "m"); !errors.Is(err, journal.ErrLocked) {
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
	path, weights := Paths(out)
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

// A log that an earlier version of the program has left is opened, and everything in it is found.
func TestLogOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.gguf")
	from, _ := Paths(filepath.Join("testdata", "out.gguf"))
	old, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Dir(out), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	l, err := Open(out, journal.Header{ModelSHA256: "m", TokensSHA256: "t", Config: json.RawMessage("{}"), Tool: "v1", LlamaCpp: "v0.5.0"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := l.Weights("blk.0.ffn_down.weight"); err != nil || string(data) != "weights of one" {
		t.Errorf("%q, %v", data, err)
	}
	if string(l.Note("repair/before")) != "2.5" || l.Note("repair/ffn:0") == nil || !l.Kept() || l.Cut != 0 {
		t.Errorf("%s", l.Note("repair/before"))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(l.Path()); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the journal was changed: %v", err)
	}
}
