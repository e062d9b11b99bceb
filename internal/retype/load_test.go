package retype

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// kept is a journal's notes.
type kept map[string]json.RawMessage

func (k kept) Note(name string) json.RawMessage { return k[name] }

func (k kept) SetNote(name string, v any) (err error) {
	k[name], err = json.Marshal(v)
	return err
}

// A job goes on with the copy that it was begun with, or without one, since what it measured on one is not what it would have on the other.
func TestLoadNoted(t *testing.T) {
	t.Parallel()
	room, copies := true, 0
	spec := source.Spec{Path: gguftest.Write(t, t.TempDir(), "model.gguf", gguftest.Llama(1, 1)), Engine: enginetest.Runtime{OnLoad: func(path string) error {
		if !strings.Contains(path, "ggufprune-copy") {
			return nil
		}
		if copies++; !room {
			return errors.New("no room")
		}
		return nil
	}}}
	src, err := source.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	twin := Twin{"token_embd.weight": gguf.F32}
	output := filepath.Join(t.TempDir(), "out.gguf")
	for _, c := range []struct {
		name   string
		notes  kept
		room   bool
		loaded bool
		tried  int
		err    string
	}{
		{"anew", kept{}, true, true, 1, ""},
		{"anew without room", kept{}, false, false, 1, ""},
		{"begun on a copy", kept{copied: json.RawMessage("true")}, true, true, 1, ""},
		{"begun on a copy, and now no room", kept{copied: json.RawMessage("true")}, false, false, 1, "was begun on a copy"},
		{"begun without one", kept{copied: json.RawMessage("false")}, true, false, 0, ""},
	} {
		room, copies = c.room, 0
		if err := src.LoadPlain(t.Context()); err != nil {
			t.Fatal(err)
		}
		src.Spec.Model.NoMmap = false
		got, err := twin.LoadNoted(t.Context(), src, output, c.notes, progress.Silent{})
		switch {
		case c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v", c.name, err)
		case (got != nil) != c.loaded || copies != c.tried || src.Model == nil || src.Spec.Model.NoMmap != c.loaded:
			t.Errorf("%s: a copy %v after %d tries, no mapping %v, a model %v", c.name, got != nil, copies, src.Spec.Model.NoMmap, src.Model != nil)
		case c.err == "" && Begun(c.notes) != c.loaded:
			t.Errorf("%s: the next run would go on otherwise: %v", c.name, c.notes)
		}
	}
}
