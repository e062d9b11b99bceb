package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// fragment is a piece of a link line as CMake's file API reports it. Role is "flags" (compiler and linker options),
// "libraries", "libraryPath" or "frameworkPath". Text may hold several arguments, quoted for a shell.
type fragment struct {
	Text string `json:"fragment"`
	Role string `json:"role"`
}

// readFragments returns the link line of a target from CMake's reply in the folder build.
func readFragments(build, target string) ([]fragment, error) {
	pattern := filepath.Join(build, ".cmake", "api", "v1", "reply", "target-"+target+"-*.json")
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%d files match %s, want one; run: make distclean setup", len(files), pattern)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	var reply struct {
		Link struct {
			CommandFragments []fragment `json:"commandFragments"`
		} `json:"link"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, fmt.Errorf("%s: %w", files[0], err)
	}
	if len(reply.Link.CommandFragments) == 0 {
		return nil, fmt.Errorf("%s has no link line", files[0])
	}
	return reply.Link.CommandFragments, nil
}

// Of the options in a program's own flags only these say how to link what the archives need; the others (-O3, -arch,
// -isysroot) are Go's to choose.
var neededFlag = regexp.MustCompile(`^(-fsanitize=.*|-fopenmp(=.*)?|-pthread|-stdlib=.*)$`)

// cgo takes libfoo.so as an argument, but not libfoo.so.12.
var versionedLib = regexp.MustCompile(`^(/.*)/(lib[^/]*\.so\.[0-9.]+)$`)

// linkFlags returns the arguments for cgo's linker in CMake's order, which decides whose llama-context.cpp is linked, and
// the archives among them that CMake built. Relative paths count from the folder build.
func linkFlags(fragments []fragment, build string) (flags, archives []string) {
	seen := map[string]bool{}
	for _, f := range fragments {
		for _, arg := range splitArgs(f.Text) {
			switch {
			case f.Role == "flags" && !neededFlag.MatchString(arg):
			case versionedLib.MatchString(arg):
				m := versionedLib.FindStringSubmatch(arg)
				flags = append(flags, "-L"+m[1], "-l:"+m[2])
			case strings.HasSuffix(arg, ".a") && !filepath.IsAbs(arg) && !strings.HasPrefix(arg, "-"):
				arg = filepath.Join(build, arg)
				flags = append(flags, arg)
				if !seen[arg] {
					seen[arg] = true
					archives = append(archives, arg)
				}
			default:
				flags = append(flags, arg)
			}
		}
	}
	return joinPairs(flags), archives
}

// joinPairs puts an option and the argument that follows it on one line: "-framework", "Metal".
func joinPairs(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "-framework" && i+1 < len(args) {
			// The comma form is one argument, which #cgo keeps in place.
			out = append(out, "-Wl,-framework,"+args[i+1])
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// splitArgs splits a POSIX shell's words: blanks separate, quotes and backslashes protect.
func splitArgs(s string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
