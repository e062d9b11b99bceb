package commands

import (
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/internal/prune"
)

// A report replaces neither importance matrix, that of the source and that of the file.
func TestJobFiles(t *testing.T) {
	t.Parallel()
	var j prune.Job
	j.Spec.Path, j.SavePlan, j.Output, j.Quantize.IMatrix, j.Quantize.IMatrixOut = "m.gguf", "plan.json", "out.gguf", "in.imatrix", "out.imatrix"
	files := jobFiles(j)
	slices.Sort(files)
	if want := []string{"in.imatrix", "m.gguf", "out.gguf", "out.imatrix", "plan.json"}; !slices.Equal(files, want) {
		t.Errorf("%v, want %v", files, want)
	}
}
