package flags

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// multiShort maps llama.cpp's short flags of more than one letter to their long names. pflag would read "-ngl 99" as the
// shorthands n, g and l, so they are rewritten before it sees them.
var multiShort = map[string]string{
	"ngl": "n-gpu-layers",
	"ub":  "ubatch-size",
	"fa":  "flash-attn",
	"dev": "device",
	"mg":  "main-gpu",
	"sm":  "split-mode",
	"ts":  "tensor-split",
	"nr":  "no-repack",
	"hf":  "hf-repo",
	"hfr": "hf-repo",
	"hff": "hf-file",
}

// longAlias maps other accepted spellings to the name under which a flag is defined.
var longAlias = map[string]string{
	"gpu-layers": "n-gpu-layers",
	"devices":    "device",
}

// NormalizeName is the flag sets' normaliser: aliases, and '_' for '-' as llama.cpp accepts it.
func NormalizeName(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if long, ok := longAlias[name]; ok {
		name = long
	}
	return pflag.NormalizedName(name)
}

// shortNames returns the multi-letter short names in alphabetical order.
func shortNames() []string { return slices.Sorted(maps.Keys(multiShort)) }

// NormalizeArgs returns args with every multi-letter short flag of multiShort ("-ngl 99", "-ngl=99") in its long form.
// It walks the arguments as pflag will, so that the value of another flag ("-o -fa") and everything after "--" stay as
// they are. open reports whether the next argument can be a flag: it is neither the last one's value nor behind "--".
func NormalizeArgs(fs *pflag.FlagSet, args []string) (out []string, open bool) {
	out = make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...), false
		}
		arg = expandShort(arg)
		out = append(out, arg)
		if takesNext(fs, arg) {
			if i+1 == len(args) {
				return out, false
			}
			i++
			out = append(out, args[i])
		}
	}
	return out, true
}

// expandShort rewrites one argument if it is exactly a multi-letter short flag, with or without "=value".
func expandShort(arg string) string {
	if len(arg) < 3 || arg[0] != '-' || arg[1] == '-' {
		return arg
	}
	name, value, hasValue := strings.Cut(arg[1:], "=")
	long, ok := multiShort[name]
	switch {
	case !ok:
		return arg
	case hasValue:
		return "--" + long + "=" + value
	default:
		return "--" + long
	}
}

// takesNext reports whether pflag will read the argument after arg as arg's value.
func takesNext(fs *pflag.FlagSet, arg string) bool {
	var f *pflag.Flag
	switch {
	case len(arg) < 2 || arg[0] != '-':
		return false
	case strings.HasPrefix(arg, "--"):
		if strings.Contains(arg, "=") {
			return false
		}
		f = fs.Lookup(arg[2:])
	default:
		// A cluster such as -qm: only its last letter can take the next argument, and only if no earlier one
		// has taken the rest of the cluster for its value.
		for j := 1; j < len(arg); j++ {
			f = fs.ShorthandLookup(arg[j : j+1])
			if f == nil || (f.NoOptDefVal == "" && j+1 < len(arg)) {
				return false
			}
		}
	}
	return f != nil && f.NoOptDefVal == ""
}

// Words are f and its value as a command line has them; none where the value is empty, as that of --calib self is once it is resolved.
func Words(f *pflag.Flag) (out []string) {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand
	}
	values := []string{f.Value.String()}
	if several, ok := f.Value.(pflag.SliceValue); ok {
		values = several.GetSlice()
	}
	for _, v := range values {
		switch {
		case v == "":
		case f.NoOptDefVal == "":
			out = append(out, name, v)
		case v == f.NoOptDefVal:
			out = append(out, name)
		default:
			out = append(out, "--"+f.Name+"="+v)
		}
	}
	return out
}
