package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A text is read once, whatever becomes of its file; without Files it is read again.
func TestFilesAreReadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.jsonl")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "as it was")
	write(b, `{"text": "another"}`)
	kept := Text{File: a, Files: NewFiles()}
	if err := kept.Keep(a, b); err != nil {
		t.Fatal(err)
	}
	write(a, "as it is")
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := kept.ReadEvaluation()
		if err != nil || c.Text() != "as it was" || c.Name != "a.txt" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	other := kept // as a repair makes one of another file
	other.File = b
	if c, err := other.Read(); err != nil || c.Text() != "another" || c.Continuous {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := (Text{File: a}).Read(); err != nil || c.Text() != "as it is" {
		t.Errorf("%+v, %v", c, err)
	}
	// What could not be read is tried again.
	other.File = filepath.Join(dir, "c.txt")
	if _, err := other.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	write(other.File, "late")
	if err := kept.Keep(other.File); err != nil {
		t.Error(err)
	}
}

// A pipe gives its text once.
func TestPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("out of a pipe"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	path := filepath.Join("/dev/fd", fmt.Sprint(r.Fd()))
	text := Text{File: path, Files: NewFiles()}
	for range 3 {
		if c, err := text.Read(); err != nil || c.Text() != "out of a pipe" {
			t.Errorf("%+v, %v", c, err)
		}
	}
}
