package write

import (
	"os"
	"path/filepath"
	"testing"
)

// After a search a name that is taken gives way to the next one; with Force only that of an input does, which is never replaced.
func TestNextFreeName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "m.gguf")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "m-2.gguf")
	for _, c := range []struct {
		q    Request
		want string
	}{
		{Request{}, name},
		{Request{Unique: true}, next},
		{Request{Unique: true, Force: true}, name},
		{Request{Unique: true, Force: true, Inputs: []string{name}}, next},
		{Request{Unique: true, Output: "mine.gguf"}, "mine.gguf"},
	} {
		if got, err := c.q.path(name); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.q, got, err, c.want)
		}
	}
}
