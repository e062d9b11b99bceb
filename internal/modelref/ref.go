package modelref

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Ref is where a model was found.
type Ref struct {
	Given string // as the user named it, "" for a path
	Path  string // of the GGUF file, or of a split model's first

	// Name is what to call the model where its own metadata does not say, such as "llama3.2"; "" for a path.
	Name string

	// SHA256 is what the file's bytes must have, in hexadecimal; "" where nobody has said.
	SHA256 string

	// Again is the command that gets the file again, for messages about a damaged one; "" for a path.
	Again string

	Note string // what else is worth telling of how it was found; "" for nothing

	Ollama *Ollama // what Ollama keeps with the model; nil where it is not from there
}

// Places is where to look. Getenv and Home are the user's; tests have their own.
type Places struct {
	Getenv func(string) string
	Home   string // "" if unknown
	GOOS   string
}

// System returns this process's places.
func System() Places {
	home, _ := os.UserHomeDir() // without one, the folders below it are not looked into
	return Places{Getenv: os.Getenv, Home: home, GOOS: runtime.GOOS}
}

// The prefixes of names that are no paths. A file that is named like this is given as ./ollama:x.
const (
	ollamaPrefix   = "ollama:"
	lmStudioPrefix = "lmstudio:"
)

// Find finds the model that -m names. A path is taken as it is: whoever opens it says what is wrong with it.
func (p Places) Find(name string) (*Ref, error) {
	if rest, ok := strings.CutPrefix(name, ollamaPrefix); ok {
		return p.ollama(name, rest)
	}
	if rest, ok := strings.CutPrefix(name, lmStudioPrefix); ok {
		return p.lmStudio(name, rest)
	}
	return &Ref{Path: name}, nil
}

// homePath returns a path below the user's home, or "" if that is unknown.
func (p Places) homePath(parts ...string) string {
	if p.Home == "" {
		return ""
	}
	return filepath.Join(append([]string{p.Home}, parts...)...)
}

// NotFoundError says that no model has this name here, and what to do.
type NotFoundError struct {
	Given  string
	Looked []string // the folders that were looked into; none if none is there
	Detail string   // what is there instead; may be ""
	Hint   string
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("model %s is not on this machine", e.Given)
	if len(e.Looked) > 0 {
		text += " (looked in " + strings.Join(e.Looked, ", ") + ")"
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text + "; " + e.Hint
}

// isDir reports whether path is a folder.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return path != "" && err == nil && info.IsDir()
}

// isFile reports whether path is a regular file, or a link to one.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return path != "" && err == nil && info.Mode().IsRegular()
}

// isGone reports whether path is a link that leads nowhere.
func isGone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// existing returns the paths that are folders, without repetitions.
func existing(paths []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range paths {
		if p != "" && !seen[p] && isDir(p) {
			out = append(out, p)
		}
		seen[p] = true
	}
	return out
}
