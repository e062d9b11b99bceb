package flags

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The annotations of a flag.
const (
	headingKey = "ggufprune_heading" // of its section
	valueKey   = "ggufprune_value"   // placeholder of its value; none for a switch
	choicesKey = "ggufprune_choices" // its values, where they can be listed
	namesKey   = "ggufprune_names"   // whose names its value may be: one of names.go
)

// Section adds the flags that define defines, under a heading of the help. Several sections of one heading are shown as one.
func Section(fs *pflag.FlagSet, heading string, define func(fs *pflag.FlagSet)) {
	own := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	own.SortFlags = false
	define(own)
	own.VisitAll(func(f *pflag.Flag) {
		annotate(f, headingKey, heading)
		if strings.HasPrefix(f.Usage, "`") {
			value, text := pflag.UnquoteUsage(f)
			annotate(f, valueKey, value)
			f.Usage = strings.TrimPrefix(strings.TrimPrefix(text, value), " ")
		}
		fs.AddFlag(f)
	})
}

func annotate(f *pflag.Flag, key string, values ...string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[key] = values
}

func annotation(f *pflag.Flag, key string) string {
	if v := f.Annotations[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Choices lists the values of a flag, for completions.
func Choices[T ~string](fs *pflag.FlagSet, name string, values ...T) {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	annotate(fs.Lookup(name), choicesKey, list...)
}

// ChoicesOf returns the values of a flag, none if they cannot be listed.
func ChoicesOf(f *pflag.Flag) []string { return f.Annotations[choicesKey] }

// Heading returns the heading of a flag's section.
func Heading(f *pflag.Flag) string { return annotation(f, headingKey) }

// Value returns the placeholder of a flag's value, "" for a switch.
func Value(f *pflag.Flag) string { return annotation(f, valueKey) }

// Forms returns how a flag may be written, with its dashes: the short forms, and the long one last.
func Forms(f *pflag.Flag) []string {
	var out []string
	if f.Shorthand != "" {
		out = append(out, "-"+f.Shorthand)
	}
	for _, s := range shortNames() {
		if multiShort[s] == f.Name {
			out = append(out, "-"+s)
		}
	}
	return append(out, "--"+f.Name)
}

// Usage returns what the help says of a flag: its usage text, and the default where that does not state it. Line breaks are meant.
func Usage(f *pflag.Flag) string {
	const open = "(default"
	if strings.Contains(f.Usage, open) || slices.Contains([]string{"", "false", "0", "-1", "0s", "[]"}, f.DefValue) {
		return f.Usage
	}
	return f.Usage + " " + open + ": " + f.DefValue + ")"
}

// Brief returns the first thought of a flag's usage: menus of completions have little room.
func Brief(f *pflag.Flag) string {
	s, _, _ := strings.Cut(f.Usage, "\n")
	for _, sep := range []string{" (", ": ", "; "} {
		s, _, _ = strings.Cut(s, sep)
	}
	return strings.TrimRight(s, ",.")
}

// Error is a mistake on the command line: what is wrong, and what to write instead.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

// Errorf returns an [Error].
func Errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }
