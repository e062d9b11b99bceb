package commands

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/internal/compare"
)

func TestContenders(t *testing.T) {
	t.Parallel()
	got := contenders([]compare.Contender{
		{Label: "x/a.gguf", Path: "x/a.gguf"}, {Label: "y/a.gguf", Path: "y/a.gguf"}, {Label: "z/b.gguf", Path: "z/b.gguf"}, {Label: "ollama:b", Path: "blobs/c"},
	})
	want := []compare.Contender{
		{Label: "x/a.gguf", Path: "x/a.gguf"}, {Label: "y/a.gguf", Path: "y/a.gguf"}, {Label: "b.gguf", Path: "z/b.gguf"}, {Label: "ollama:b", Path: "blobs/c"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
