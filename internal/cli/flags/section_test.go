package flags

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// What help, completions and the manual page read from a flag.
func TestFlagTexts(t *testing.T) {
	t.Parallel()
	type texts struct {
		Heading, Value, Usage, Brief string
		Forms                        []string
	}
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	Section(fs, "One", func(fs *pflag.FlagSet) {
		fs.StringP("model", "m", "", "`FILE` the model; or a name")
		fs.String("hf-repo", "a", "`REPO` a repository (of a hub)")
		fs.Bool("force", false, "overwrite files")
	})
	Section(fs, "Two", func(fs *pflag.FlagSet) {
		fs.Int("main-gpu", 0, "`N` the main GPU (default: 0)")
		fs.Int("chunks", 7, "`N` windows,\nor samples")
	})
	var got []texts
	fs.SortFlags = false
	fs.VisitAll(func(f *pflag.Flag) { got = append(got, texts{Heading(f), Value(f), Usage(f), Brief(f), Forms(f)}) })
	want := []texts{
		{"One", "FILE", "the model; or a name", "the model", []string{"-m", "--model"}},
		{"One", "REPO", "a repository (of a hub) (default: a)", "a repository", []string{"-hf", "-hfr", "--hf-repo"}},
		{"One", "", "overwrite files", "overwrite files", []string{"--force"}},
		{"Two", "N", "the main GPU (default: 0)", "the main GPU", []string{"-mg", "--main-gpu"}},
		{"Two", "N", "windows,\nor samples (default: 7)", "windows", []string{"--chunks"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
