package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// commandNames returns the names of all commands.
func commandNames() []string {
	var names []string
	for _, e := range entries() {
		names = append(names, e.name)
	}
	return names
}

// flagsOf returns a command's flags as execute defines them.
func flagsOf(name string) *pflag.FlagSet {
	fs, _ := flagSet(name, lookup(name))
	return fs
}

var flagInUsage = regexp.MustCompile(`(?m)^ +(?:-[a-z]+, )?--([a-z-]+)`)

// A command's usage lists its flags, all of them and no others, with their short forms.
func TestUsageListsFlags(t *testing.T) {
	short := map[string]string{} // long name to multi-letter short form
	for s, long := range multiShort {
		short[long] = s
	}
	for _, name := range commandNames() {
		c := lookup(name)
		fs, text := flagsOf(name), c.usage()
		fs.VisitAll(func(f *pflag.Flag) {
			if !regexp.MustCompile(`--` + f.Name + `\b`).MatchString(text) {
				t.Errorf("%s: --%s is not in the usage", name, f.Name)
			}
			if f.Shorthand != "" && !strings.Contains(text, "-"+f.Shorthand+", --"+f.Name+" ") {
				t.Errorf("%s: -%s of --%s is not in the usage", name, f.Shorthand, f.Name)
			}
			if s := short[f.Name]; s != "" && !regexp.MustCompile(`-`+s+`\b`).MatchString(text) {
				t.Errorf("%s: -%s of --%s is not in the usage", name, s, f.Name)
			}
		})
		for _, m := range flagInUsage.FindAllStringSubmatch(text, -1) {
			if m[1] != "help" && fs.Lookup(m[1]) == nil {
				t.Errorf("%s: the usage lists --%s, which is no flag", name, m[1])
			}
		}
	}
}

// Every command has two examples, and they are valid command lines.
func TestUsageExamples(t *testing.T) {
	for _, name := range commandNames() {
		text := lookup(name).usage()
		_, rest, ok := strings.Cut(text, "\nExamples:\n")
		examples, _, _ := strings.Cut(rest, "\n\n")
		lines := strings.Split(strings.TrimRight(examples, "\n"), "\n")
		if !ok || len(lines) < 2 {
			t.Errorf("%s: %d examples, want two", name, len(lines))
		}
		for _, line := range lines {
			line, _, _ = strings.Cut(line, " > ") // the shell's part
			args := strings.Fields(line)
			if len(args) < 2 || args[0] != "ggufprune" || args[1] != name {
				t.Errorf("%s: %q is no example of it", name, line)
				continue
			}
			fs := flagsOf(name)
			if err := fs.Parse(normalizeArgs(fs, args[2:])); err != nil || (fs.NArg() > 0 && !takesArguments(lookup(name))) {
				t.Errorf("%s: %q: %v, %d arguments left over", name, line, err, fs.NArg())
			}
		}
		if !strings.Contains(programUsage(), "\n  "+name+" ") {
			t.Errorf("%s is not in the program's usage", name)
		}
	}
}

// Aliases lead to the flag that they stand for, in every command that has it.
func TestAliases(t *testing.T) {
	for alias, long := range longAlias {
		found := false
		for _, name := range commandNames() {
			fs := flagsOf(name)
			found = found || fs.Lookup(long) != nil
			if a, b := fs.Lookup(alias), fs.Lookup(long); a != b {
				t.Errorf("%s: --%s is not --%s", name, alias, long)
			}
		}
		if !found {
			t.Errorf("no command has --%s", long)
		}
	}
}
