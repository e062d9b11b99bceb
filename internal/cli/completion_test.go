package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// script writes a shell's script to a file.
func script(t *testing.T, shell string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ggufprune."+shell)
	if err := os.WriteFile(path, []byte(shells[shell](completables())), 0o600); err != nil {
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

// complete returns what bash, with the script, offers for the last of words, which are split as bash splits them.
func complete(t *testing.T, path string, words ...string) []string {
	t.Helper()
	const program = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ggufprune; printf '%s\n' "${COMPREPLY[@]}"`
	out, err := exec.Command("bash", append([]string{"--norc", "-c", program, "bash", path, "ggufprune"}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Fields(string(out))
}

func TestBashCompletion(t *testing.T) {
	have(t, "bash")
	path := script(t, "bash")
	for _, tt := range []struct{ words, want string }{
		{"pru", "prune"},
		{"in", "inspect"},
		{"help sea", "search"},
		{"completion fi", "fish"},
		{"completion ", "bash zsh fish"},
		{"prune --strat", "--strategy"},
		{"prune -ng", "-ngl"},
		{"prune --layout ", "auto native deci zeros"},
		{"prune --layout = n", "native"},
		{"prune --layout =", "auto native deci zeros"},
		{"ppl -fa o", "on off"},
		{"ppl --strat", ""},          // no flag of ppl
		{"prune -m mod", ""},         // a file's name
		{"prune --output --lay", ""}, // a value
		{"nonsense --", ""},
	} {
		words := strings.Split(tt.words, " ")
		got, want := complete(t, path, words...), strings.Fields(tt.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", tt.words, got, want)
		}
	}
	// All of them: every command, and every flag of every command in each of its forms, as the flag sets have them.
	if got := complete(t, path, ""); !slices.Equal(got, commandWords(completables())) {
		t.Errorf("commands: %q", got)
	}
	for _, name := range commandNames() {
		var want []string
		for _, f := range formsOf(name) {
			want = append(want, f...)
		}
		got := complete(t, path, name, "-")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: flags %q,\nwant %q", name, got, want)
		}
	}
}

// formsOf returns the forms of each flag of a command by the flag set alone.
func formsOf(name string) map[string][]string {
	out := map[string][]string{"help": {"-h", "--help"}}
	flagsOf(name).VisitAll(func(f *pflag.Flag) {
		out[f.Name] = []string{"--" + f.Name}
		if f.Shorthand != "" {
			out[f.Name] = append(out[f.Name], "-"+f.Shorthand)
		}
		for short, long := range multiShort {
			if long == f.Name {
				out[f.Name] = append(out[f.Name], "-"+short)
			}
		}
	})
	return out
}

func TestFishCompletion(t *testing.T) {
	text := shells["fish"](completables())
	for _, name := range commandNames() {
		for long := range formsOf(name) {
			if !strings.Contains(text, "'__fish_seen_subcommand_from "+name+"' -l "+long+" ") {
				t.Errorf("%s: --%s is not in the script", name, long)
			}
		}
	}
	have(t, "fish")
	path := script(t, "fish")
	for line, want := range map[string]string{
		"ggufprune pru":                    "prune",
		"ggufprune prune --layout na":      "native",
		"ggufprune prune --no-ch":          "--no-check",
		"ggufprune completion z":           "zsh",
		"ggufprune search -m x.gguf --pla": "--plan",
	} {
		cmd := exec.Command("fish", "--no-config", "-c", "source "+path+"; complete -C '"+line+"'")
		out, err := cmd.CombinedOutput()
		word, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
		if err != nil || word != want {
			t.Errorf("%q: %q, %v; want %s", line, out, err, want)
		}
	}
}

func TestZshCompletion(t *testing.T) {
	text := shells["zsh"](completables())
	for _, name := range commandNames() {
		_, part, _ := strings.Cut(text, "\n    "+name+")\n")
		part, _, _ = strings.Cut(part, "\n        ;;")
		for _, forms := range formsOf(name) {
			for _, f := range forms {
				if !regexp.MustCompile(`'` + f + `=?\[`).MatchString(part) {
					t.Errorf("%s: %s is not in the script", name, f)
				}
			}
		}
	}
	have(t, "zsh")
	// The functions of zsh's completion system are replaced by ones that check their arguments' form and tell.
	path := script(t, "zsh")
	const program = `compdef() { :; }; _describe() { print -l -- "${(@P)2}"; }; _arguments() { print -l -- "$@"; }
. $1; words=(ggufprune $2 ''); CURRENT=$#words; [[ $2 = - ]] && words=(ggufprune '') CURRENT=2; _ggufprune`
	for _, name := range append(commandNames(), "-") {
		out, err := exec.Command("zsh", "-f", "-c", program, "zsh", path, name).CombinedOutput()
		want := "--help[this command"
		if name == "-" {
			want = "prune:search, write and check"
		}
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// The values that completions offer are taken, and are of flags that there are.
func TestChoicesAreValid(t *testing.T) {
	used := map[string]bool{}
	for _, name := range commandNames() {
		fs := flagsOf(name)
		for long, values := range choices() {
			if fs.Lookup(long) == nil {
				continue
			}
			used[long] = true
			for _, v := range values {
				if !strings.Contains(lookup(name).usage(), v) {
					t.Errorf("%s: --%s %s is offered and not in the usage", name, long, v)
				}
			}
		}
	}
	if len(used) != len(choices()) {
		t.Errorf("values are offered for %d flags, %d exist", len(choices()), len(used))
	}
}

var roffEscape = strings.NewReplacer(`\-`, "-", `\fB`, "", `\fR`, "", `\fI`, "", `\e`, `\`, `\(ti`, "~", `\(ha`, "^", `\(ga`, "`", `\(dq`, `"`, `\&`, "")

// The page has every command, every example, and every flag of every command.
func TestManPage(t *testing.T) {
	raw := manPage()
	page := roffEscape.Replace(raw)
	for _, name := range commandNames() {
		if !strings.Contains(page, "\n.SH \""+strings.ToUpper(name)+"\"\n") {
			t.Errorf("%s has no section", name)
		}
		for _, forms := range formsOf(name) {
			for _, f := range forms {
				if !regexp.MustCompile(`(?m)[ (/]?` + f + `\b`).MatchString(page) {
					t.Errorf("%s: %s is not on the page", name, f)
				}
			}
		}
		p := readUsage(lookup(name).usage())
		for _, e := range p.examples {
			if !strings.Contains(page, "\n"+e+"\n") {
				t.Errorf("%s: the example %q is not on the page", name, e)
			}
		}
		if len(p.about) == 0 || len(p.examples) < 2 || !strings.HasPrefix(p.synopsis, "ggufprune "+name) {
			t.Errorf("%s: the usage reads as %+v", name, p)
		}
		// A flag whose line the page's reader did not understand would be text of another one.
		for _, s := range p.sections {
			for _, f := range s.flags {
				if strings.Contains(f.text, " --") && regexp.MustCompile(`  --`).MatchString(f.text) || f.text == "" {
					t.Errorf("%s: %s reads as %q", name, f.long, f.text)
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "ggufprune.1")
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("man", func(t *testing.T) {
		have(t, "man")
		cmd := exec.Command("man", "-l", path)
		cmd.Env = append(os.Environ(), "MANPAGER=cat", "MANWIDTH=100", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "prune -m model.gguf --ratio 0.2") {
			t.Errorf("%v: %.400s", err, out)
		}
	})
	t.Run("mandoc", func(t *testing.T) {
		have(t, "mandoc")
		if out, err := exec.Command("mandoc", "-T", "lint", "-W", "error", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("groff", func(t *testing.T) {
		have(t, "groff")
		if out, err := exec.Command("groff", "-man", "-ww", "-z", "-T", "utf8", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
}
