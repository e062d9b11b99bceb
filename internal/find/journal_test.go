package find

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Trials of shapes are those of the text that they are fitted on, of which a score sees the beginning only, and of its sequences' length.
func TestFitConfig(t *testing.T) {
	t.Parallel()
	src, err := source.Open(t.Context(), source.Spec{Engine: enginetest.Runtime{}, Path: tinyModel, FlashAttn: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	config := func(last string, context int) *fitConfig {
		path := filepath.Join(t.TempDir(), "text.txt")
		if err := os.WriteFile(path, []byte(strings.Repeat("The same.\n", 100)+last), 0o600); err != nil {
			t.Fatal(err)
		}
		j := job("")
		j.Unit, j.Text.File, j.Text.Context = blockmask.Width, path, context
		out, err := (&finder{Job: j, src: src}).fitConfig()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	usual := config("The end.", 0)
	if !reflect.DeepEqual(usual, config("The end.", source.DefaultContext(0, src.Model.Info()))) {
		t.Error("the default context is not that context")
	}
	if reflect.DeepEqual(usual, config("Another end.", 0)) || reflect.DeepEqual(usual, config("The end.", 64)) {
		t.Error("another text, or another context, is the same fit")
	}
}
