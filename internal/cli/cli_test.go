package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

// The test's own binary is the program for scripts that need one: see [program].
const asProgram = "GGUFPRUNE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		err := Run(context.Background(), os.Args[1:], Env{Engine: enginetest.Runtime{}, Out: os.Stdout, Err: os.Stderr})
		if err != nil {
			fmt.Fprintln(os.Stderr, Message(err))
		}
		os.Exit(ExitCode(err))
	}
	os.Exit(m.Run())
}

// program puts ggufprune into a folder, and returns an environment in which it is found and Ollama has the models of the store.
func program(t *testing.T, store string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\n" + asProgram + "=1 exec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ggufprune"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "OLLAMA_MODELS="+store, "HOME="+t.TempDir())
}

// run returns what a command line prints on standard output, and its error.
func run(args ...string) (string, error) {
	var out, errs strings.Builder
	err := Run(context.Background(), args, Env{Engine: enginetest.Runtime{}, Out: &out, Err: &errs})
	return out.String(), err
}

// theCommands are all that have flags: all but help.
func theCommands() []*cobra.Command {
	return slices.DeleteFunc(newRoot(enginetest.Runtime{}).Commands(), func(c *cobra.Command) bool { return c.Name() == "help" })
}

// formsOf returns all forms of all flags of a command.
func formsOf(cmd *cobra.Command) []string {
	var out []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { out = append(out, flags.Forms(f)...) })
	return out
}

// Every flag stands under a heading, says what it does, and names its value, unless it is a switch.
func TestFlagsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, cmd := range theCommands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if flags.Heading(f) == "" || f.Usage == "" || strings.Contains(f.Usage, "`") {
				t.Errorf("%s: --%s: heading %q, usage %q", cmd.Name(), f.Name, flags.Heading(f), f.Usage)
			}
			if (f.NoOptDefVal == "") != (flags.Value(f) != "") {
				t.Errorf("%s: --%s: value %q", cmd.Name(), f.Name, flags.Value(f))
			}
		})
	}
}

// The help of a command has each flag in each form, its default, and lines that fit.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, cmd := range theCommands() {
		text, err := run("help", cmd.Name())
		if again, _ := run(cmd.Name(), "--help"); err != nil || again != text {
			t.Errorf("%s: %v, --help prints\n%s", cmd.Name(), err, again)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			_, part, ok := strings.Cut(text, "--"+f.Name+" ")
			if !ok {
				_, part, ok = strings.Cut(text, "--"+f.Name+"\n")
			}
			if !ok || strings.TrimSpace(part) == "" {
				t.Errorf("%s: --%s is not in the help", cmd.Name(), f.Name)
			}
			forms := flags.Forms(f)
			for _, form := range forms[:len(forms)-1] {
				if !strings.Contains(text, "\n  "+form+", --"+f.Name+" ") && !strings.Contains(text, "(also "+form) {
					t.Errorf("%s: %s of --%s is not in the help", cmd.Name(), form, f.Name)
				}
			}
		})
		for line := range strings.Lines(text) {
			if len([]rune(line)) > helpWidth+1 && !strings.HasPrefix(line, "  ggufprune ") {
				t.Errorf("%s: %d characters: %s", cmd.Name(), len([]rune(line)), line)
			}
		}
	}
	// A short form that is not the first one, a text of several lines, a name that is longer than its column.
	text, _ := run("help", "prune")
	for _, want := range []string{
		"\n  -hf, --hf-repo REPO      user/repo", "(also -hfr)\n", "\n  -nr, --no-repack         keep", "\n                           greedy: the paper's",
		"\n      --output-tensor-type TYPE\n                           tensor type", "\nModel and devices, as in llama.cpp:\n", "(default: 81920)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Every command has two examples, and they are valid command lines.
func TestExamples(t *testing.T) {
	t.Parallel()
	whole, _ := run("help")
	for _, cmd := range theCommands() {
		lines := strings.Split(cmd.Example, "\n")
		if len(lines) < 2 {
			t.Errorf("%s: %d examples, want two", cmd.Name(), len(lines))
		}
		for _, line := range lines {
			line, _, _ = strings.Cut(line, " > ") // the shell's part
			args := strings.Fields(line)
			if len(args) < 2 || args[0] != "ggufprune" || args[1] != cmd.Name() {
				t.Errorf("%s: %q is no example of it", cmd.Name(), line)
				continue
			}
			fresh := lookup(newRoot(enginetest.Runtime{}), cmd.Name())
			rest, _ := flags.NormalizeArgs(fresh.Flags(), args[2:])
			if err := fresh.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", cmd.Name(), line, err)
			} else if err := fresh.ValidateArgs(fresh.Flags().Args()); err != nil {
				t.Errorf("%s: %q: %v", cmd.Name(), line, err)
			}
		}
		if !strings.Contains(whole, "\n  "+cmd.Name()+" ") || cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s is not in the program's help", cmd.Name())
		}
	}
}

// Other spellings lead to the flag that they stand for.
func TestAliases(t *testing.T) {
	t.Parallel()
	cmd := lookup(newRoot(enginetest.Runtime{}), "prune")
	for alias, name := range map[string]string{"gpu-layers": "n-gpu-layers", "devices": "device", "n_gpu_layers": "n-gpu-layers"} {
		if f := cmd.Flags().Lookup(alias); f == nil || f.Name != name {
			t.Errorf("--%s is not --%s", alias, name)
		}
	}
}

// Mistakes on the command line: one line that says what is wrong and where to look.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                            "no command given; see ggufprune help",
		"prunes":                      `unknown command "prunes"; did you mean prune? See ggufprune help`,
		"xyzzy":                       `unknown command "xyzzy"; see ggufprune help`,
		"-q prune":                    `unknown command "-q"; see ggufprune help`,
		"help serch":                  `help: unknown command "serch"; did you mean search? See ggufprune help`,
		"prune --no-such-flag":        "prune: unknown flag: --no-such-flag; see ggufprune help prune",
		"prune -x":                    "prune: unknown shorthand flag: 'x' in -x; see ggufprune help prune",
		"prune --ratio":               "prune: flag needs an argument: --ratio; see ggufprune help prune",
		"ppl -t many":                 `ppl: invalid argument "many" for "-t, --threads" flag: must be an integer; see ggufprune help ppl`,
		"prune model.gguf":            `prune: unexpected argument "model.gguf"; see ggufprune help prune`,
		"version now":                 `version: unexpected argument "now"; see ggufprune help version`,
		"version --progress loud":     `--progress is "loud"; give auto, plain or json`,
		"completion tcsh":             "completion: name one shell: bash, zsh, fish or powershell",
		"prune -m x --ratio 2":        "--ratio is 2; give a number between 0 and 1, such as 0.2",
		"prune -m x":                  "nothing says how much to remove; give --ratio 0.2, --blocks 8 or --target-size 3.2GiB",
		"search --blocks 1 --ratio 2": "--blocks and --ratio exclude each other; give one of them",
	} {
		_, err := run(strings.Fields(line)...)
		if err == nil || Message(err) != want || ExitCode(err) != ExitUsage {
			t.Errorf("%q: %v (exit code %d), want %s", line, err, ExitCode(err), want)
		}
	}
}
