package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// component is something in the program that is not ours.
type component struct {
	name, version string
	dir           string   // where its licence files are
	files         []string // which ones; nil is all that look like one
}

// licences returns the licences of everything that is in the program: Go, the modules that its build information lists, llama.cpp, and
// what of llama.cpp's vendored code is linked.
func licences(ctx context.Context, program string) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	root, err := goEnv(ctx, "GOROOT")
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	list := []component{
		{name: "llama.cpp and ggml", version: pinned(), dir: "third_party/llama.cpp/src", files: []string{"LICENSE"}},
		{name: "JSON for Modern C++ (in llama.cpp)", dir: "third_party/llama.cpp/src/licenses", files: []string{"LICENSE-jsonhpp"}},
		{name: "Go", version: info.GoVersion, dir: root, files: []string{"LICENSE"}},
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		dir, err := moduleDir(ctx, d.Path, d.Version)
		if err != nil {
			return nil, err
		}
		list = append(list, component{name: d.Path, version: d.Version, dir: dir})
	}
	return render(list)
}

func pinned() string {
	pin, err := os.ReadFile("third_party/llama.cpp/PIN")
	if err != nil {
		return ""
	}
	m := regexp.MustCompile(`(?m)^LLAMA_TAG=(.*)$`).FindSubmatch(pin)
	if m == nil {
		return ""
	}
	return string(m[1])
}

func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(out)), err
}

// moduleDir returns where the Go command keeps a module, which a build has put there.
func moduleDir(ctx context.Context, path, version string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version).Output()
	if err != nil {
		return "", fmt.Errorf("module %s@%s: %w", path, version, err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil || m.Dir == "" {
		return "", fmt.Errorf("module %s@%s is not in the module cache", path, version)
	}
	return m.Dir, nil
}

var licenceFile = regexp.MustCompile(`(?i)^((?:un)?licen[cs]e|copying|notice|patents)([.-].*)?$`)

// render writes all licences, sorted by name, each text once where several have the same. A component without one is an error:
// nobody may pass it on then.
func render(list []component) ([]byte, error) {
	slices.SortFunc(list, func(a, b component) int { return strings.Compare(a.name, b.name) })
	var texts []string
	of := map[string][]string{}
	for _, c := range list {
		found, err := c.texts()
		if err != nil {
			return nil, err
		}
		for _, text := range found {
			if of[text] == nil {
				texts = append(texts, text)
			}
			of[text] = append(of[text], strings.TrimSpace(c.name+" "+c.version))
		}
	}
	var buf bytes.Buffer
	buf.WriteString("ggufprune contains the following software of others, under these licences.\n")
	for _, text := range texts {
		fmt.Fprintf(&buf, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(of[text], "\n"), text)
	}
	return buf.Bytes(), nil
}

// texts returns the component's licence texts.
func (c component) texts() ([]string, error) {
	names := c.files
	if names == nil {
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && licenceFile.MatchString(e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	var out []string
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out = append(out, strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s %s has no licence file in %s", c.name, c.version, c.dir)
	}
	return out, nil
}
