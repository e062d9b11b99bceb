package flags

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// An empty value is no value: the variable that it came from was not set.
func TestCheckEmpty(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                       "",
		"--file a --text b -n 0": "",
		"--mask= --file a":       "",
		"--file=":                "--file is empty; give FILE, or leave the flag out",
		"--text a --text= --on":  "--text is empty; give FILE, or leave the flag out",
		"--file=a --file= -n 1":  "--file is empty",
		"--never=a --on=false":   "",
	} {
		fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
		Section(fs, "How", func(fs *pflag.FlagSet) {
			fs.String("file", "", "`FILE` a text")
			fs.String("never", "", "`FILE` another")
			fs.StringArray("text", nil, "`FILE` texts")
			fs.String("mask", "", "`MASK` blocks")
			fs.Bool("on", false, "a switch")
			fs.IntP("number", "n", 0, "`N` a number")
		})
		if err := fs.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		if err := CheckEmpty(fs); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
