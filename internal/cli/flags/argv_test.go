package flags

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

func argvFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	fs.SetNormalizeFunc(NormalizeName)
	fs.StringP("model", "m", "", "")
	fs.StringP("file", "f", "", "")
	fs.StringP("output", "o", "", "")
	fs.String("n-gpu-layers", "", "")
	fs.String("ubatch-size", "", "")
	fs.String("flash-attn", "", "")
	fs.String("device", "", "")
	fs.String("tensor-split", "", "")
	fs.BoolP("quiet", "q", false, "")
	fs.BoolP("verbose", "v", false, "")
	return fs
}

func normalized(fs *pflag.FlagSet, args []string) []string {
	out, _ := NormalizeArgs(fs, args)
	return out
}

func TestNormalizeArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"-ngl 99", "--n-gpu-layers 99"},
		{"-ngl=99", "--n-gpu-layers=99"},
		{"-ngl -1", "--n-gpu-layers -1"},
		{"-ub 512 -fa on", "--ubatch-size 512 --flash-attn on"},
		{"-fa=", "--flash-attn="},
		{"-m a.gguf -ngl 3", "-m a.gguf --n-gpu-layers 3"},
		{"-qm -ngl -ngl 3", "-qm -ngl --n-gpu-layers 3"}, // "-ngl" is the model's name here
		{"-o -fa -fa off", "-o -fa --flash-attn off"},    // and the output's here
		{"-oq -fa on", "-oq --flash-attn on"},            // -o has its value already
		{"--file -ts -ts 1,2", "--file -ts --tensor-split 1,2"},
		{"--devices -ts", "--devices -ts"}, // an alias of --device
		{"--file=x -ts 1", "--file=x --tensor-split 1"},
		{"-q -dev CUDA0", "-q --device CUDA0"},
		{"-vq -dev CUDA0", "-vq --device CUDA0"},
		{"--quiet -dev none", "--quiet --device none"},
		{"-- -ngl 99", "-- -ngl 99"},
		{"- -ngl 9", "- --n-gpu-layers 9"},
		{"-nglx 9", "-nglx 9"},
		{"-ng 9", "-ng 9"},
		{"--ngl 9", "--ngl 9"},
		{"-m", "-m"},
	} {
		got := strings.Join(normalized(argvFlags(), strings.Fields(c.in)), " ")
		if got != c.want {
			t.Errorf("NormalizeArgs(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// Whether the next word can be a flag.
func TestNormalizeArgsOpen(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": true, "-q": true, "-m": false, "-m a": true, "-ngl": false, "-ngl 9": true, "-qm": false, "--file": false, "--file=x": true, "--": false, "-q -- a": false,
	} {
		if _, open := NormalizeArgs(argvFlags(), strings.Fields(in)); open != want {
			t.Errorf("%q: %t", in, open)
		}
	}
}

func TestNormalizeArgsThenParse(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"-m a.gguf -ngl 99", "-ngl=99 --model a.gguf", "--gpu-layers 99 -m=a.gguf", "--n_gpu_layers=99 -ma.gguf",
		"-q --n-gpu-layers 99 -m a.gguf",
	} {
		fs := argvFlags()
		if err := fs.Parse(normalized(fs, strings.Fields(in))); err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if ngl, _ := fs.GetString("n-gpu-layers"); ngl != "99" {
			t.Errorf("%q: n-gpu-layers = %q, want 99", in, ngl)
		}
		if m, _ := fs.GetString("model"); m != "a.gguf" {
			t.Errorf("%q: model = %q, want a.gguf", in, m)
		}
	}
}

// Arguments without any multi-letter short flag pass through untouched, and a second pass changes nothing.
func TestNormalizeArgsProperties(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{
		"-m", "-f", "-o", "-q", "-v", "-qv", "-qm", "-ngl", "-ngl=1", "-fa", "-ub", "--file", "--file=x", "--quiet", "a", "-", "-1", "--",
	})
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(word, 0, 8).Draw(t, "args")
		once := normalized(argvFlags(), args)
		if len(once) != len(args) {
			t.Fatalf("%q became %q: another number of arguments", args, once)
		}
		if twice := normalized(argvFlags(), once); !slices.Equal(once, twice) {
			t.Fatalf("%q became %q, then %q", args, once, twice)
		}
		plain := !slices.ContainsFunc(args, func(a string) bool { return expandShort(a) != a })
		if plain && !slices.Equal(args, once) {
			t.Fatalf("%q became %q", args, once)
		}
	})
}

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
