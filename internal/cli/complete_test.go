package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

// script writes a shell's script to a file.
func script(t *testing.T, shell string) string {
	t.Helper()
	text, err := run("completion", shell)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ggufprune."+shell)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// have skips the test where a program is not there. CI has all of them (make shells), and the Makefile needs bash.
func have(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if program == "bash" || os.Getenv("CI") != "" {
			t.Fatalf("%v; run: make shells", err)
		}
		t.Skip(program + " is not installed; run: make shells")
	}
}

// store returns an Ollama store with one model, whose name has a colon.
func store(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "manifests", "registry.ollama.ai", "library", "tiny")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "11m"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// completions returns what the program itself offers for the last of words.
func completions(t *testing.T, words ...string) []string {
	t.Helper()
	text, err := run(append([]string{cobra.ShellCompNoDescRequestCmd}, words...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[:len(lines)-1] // the last one is how to take them
}

// All commands, and every flag of every command in each of its forms, as the flag sets have them.
func TestCompletionsAreAll(t *testing.T) {
	t.Parallel()
	want := []string{"help"}
	for _, cmd := range theCommands() {
		want = append(want, cmd.Name())
	}
	got := completions(t, "")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("commands: %q, want %q", got, want)
	}
	for _, cmd := range theCommands() {
		got, want := completions(t, cmd.Name(), "-"), formsOf(cmd)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: flags %q,\nwant %q", cmd.Name(), got, want)
		}
	}
}

// Values, and words behind values. Not parallel: the environment is of the whole process.
func TestCompletionOfValues(t *testing.T) {
	t.Setenv("OLLAMA_MODELS", store(t))
	t.Setenv("HOME", t.TempDir())
	for _, tt := range []struct{ words, want string }{
		{"pru", "prune"},
		{"help sea", "search"},
		{"help search ", ""},
		{"completion fi", "fish"},
		{"completion bash ", ""},
		{"prune --layout ", "auto native deci zeros"},
		{"prune --layout=", "auto native deci zeros"},
		{"ppl -fa ", "on off auto"},
		{"ppl -fa=", "on off auto"},
		{"ppl -ngl 9 -fa ", "on off auto"},
		{"prune --strategy ", "fast greedy refine aware oneshot bi magnitude random"},
		{"prune -ng", "-ngl"},
		{"prune -o -ng", ""},              // a file of this name
		{"prune -ngl 9 --n-g", ""},        // it was given
		{"prune -- -ng", ""},              // an argument
		{"ppl --strat", ""},               // no flag of ppl
		{"nonsense --", ""},               // no command
		{"prune --ratio ", ""},            // a number
		{"prune -m ", "gguf"},             // files with this ending
		{"prune -m o", "ollama:tiny:11m"}, // a name
		{"compare x.gguf oll", "ollama:tiny:11m"},
		{"report ", "json"},
		{"report plan.json ", ""},
		{"quantize ", "gguf"},
		{"prune --rival oll", "ollama:tiny:11m"},
		{"compare --rival-quant ", "auto off Q8_0 Q6_K Q5_K_M "},
	} {
		got := strings.Join(completions(t, strings.Split(tt.words, " ")...), " ")
		if !strings.HasPrefix(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%q: %q, want %q", tt.words, got, tt.want)
		}
	}
	if got := completions(t, "quantize", "a.gguf", "b.gguf", ""); !slices.Contains(got, "Q4_K_M") {
		t.Errorf("types: %q", got)
	}
}

// The values that are offered are in the flag's help.
func TestChoicesAreDocumented(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, cmd := range theCommands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			for _, v := range flags.ChoicesOf(f) {
				seen++
				if f.Name != "repair-type" && !strings.Contains(f.Usage, v) {
					t.Errorf("%s: --%s %s is offered and not in the help", cmd.Name(), f.Name, v)
				}
			}
		})
	}
	if seen == 0 {
		t.Error("no flag has choices")
	}
}

// bash returns what bash, with the script, offers for the last of words, which are split as bash splits them.
func bash(t *testing.T, env []string, path string, words ...string) []string {
	t.Helper()
	const program = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COLUMNS=0; __start_ggufprune 2>&1; printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.Command("bash", append([]string{"--norc", "-c", program, "bash", path, "ggufprune"}, words...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		if word, _, _ := strings.Cut(line, "  ("); strings.TrimSpace(word) != "" && !strings.Contains(word, "compopt") {
			list = append(list, strings.TrimSpace(word))
		}
	}
	return list
}

// Without the package bash-completion.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	have(t, "bash")
	path, env := script(t, "bash"), program(t, store(t))
	for _, tt := range []struct{ words, want string }{
		{"pru", "prune"},
		{"in", "inspect"},
		{"help sea", "search"},
		{"completion ", "bash zsh fish powershell"},
		{"prune --strat", "--strategy"},
		{"prune -ng", "-ngl"},
		{"prune --layout ", "auto native deci zeros"},
		{"prune --layout = n", "native"},
		{"prune --layout =", "auto native deci zeros"},
		{"ppl -fa o", "on off"},
		{"ppl --strat", ""},
		{"prune -m mod", ""},                // a file's name
		{"prune -m ollama : t", "tiny:11m"}, // the part behind bash's last break
		{"prune --output --lay", ""},        // a value
		{"nonsense --", ""},
	} {
		got, want := bash(t, env, path, strings.Split(tt.words, " ")...), strings.Fields(tt.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", tt.words, got, want)
		}
	}
}

func TestFishCompletion(t *testing.T) {
	t.Parallel()
	have(t, "fish")
	path, env := script(t, "fish"), program(t, store(t))
	for line, want := range map[string]string{
		"ggufprune pru":                    "prune",
		"ggufprune prune --layout na":      "native",
		"ggufprune prune --no-ch":          "--no-check",
		"ggufprune prune -ng":              "-ngl",
		"ggufprune completion z":           "zsh",
		"ggufprune search -m x.gguf --pla": "--plan",
		"ggufprune search -m oll":          "ollama:tiny:11m",
	} {
		cmd := exec.Command("fish", "--no-config", "-c", "source "+path+"; complete -C '"+line+"'")
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		word, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
		if err != nil || word != want {
			t.Errorf("%q: %q, %v; want %s", line, out, err, want)
		}
	}
}

func TestZshCompletion(t *testing.T) {
	t.Parallel()
	have(t, "zsh")
	// The functions of zsh's completion system are replaced by ones that tell what they are called with.
	path, env := script(t, "zsh"), program(t, store(t))
	const program = `compdef() { :; }; _describe() { shift $(( ${@[(i)completions]} - 1 )); print -rl -- "${(@P)1}"; }; _arguments() { print -rl -- "$@"; }
. $1; shift; words=("$@"); CURRENT=$#words; _ggufprune`
	for line, want := range map[string]string{
		"ggufprune pru":               "prune:search, write and check a pruned model\\: the whole job",
		"ggufprune prune --layout na": "native",
		"ggufprune prune -ng":         "-ngl:layers to offload",
		"ggufprune completion z":      "zsh",
		"ggufprune prune -m x":        "*.gguf",
		"ggufprune prune -m oll":      "ollama\\:tiny\\:11m",
	} {
		cmd := exec.Command("zsh", append([]string{"-f", "-c", program, "zsh", path}, strings.Fields(line)...)...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil || !slices.Contains(strings.Split(string(out), "\n"), want) && !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s, want %s", line, err, out, want)
		}
	}
}

// PowerShell's script is made; it is not run.
func TestPowerShellCompletion(t *testing.T) {
	t.Parallel()
	if text, err := run("completion", "powershell"); err != nil || !strings.Contains(text, "Register-ArgumentCompleter -CommandName 'ggufprune'") {
		t.Errorf("%v: %.400s", err, text)
	}
}
