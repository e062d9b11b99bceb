package docs

import (
	"regexp"
	"strings"
	"testing"
)

// direct matches a module that go.mod requires for the program itself.
var direct = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

// The table of dependencies in RATIONALE.md has a row for every direct module, and none for a module that is gone.
func TestDependencies(t *testing.T) {
	t.Parallel()
	_, text, ok := strings.Cut(read(t, "docs/RATIONALE.md"), "\n# Dependencies\n")
	if !ok {
		t.Fatal("RATIONALE.md has no dependencies")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var named []string
	for _, m := range row.FindAllStringSubmatch(text, -1)[1:] { // the first is the heading
		for name := range strings.SplitSeq(m[1], ", ") {
			named = append(named, strings.Fields(name)[0]) // less a version and "(tests)"
		}
	}
	var modules []string
	for _, m := range direct.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		modules = append(modules, m[1])
	}
	used := map[string]bool{"llama.cpp": true, "gofumpt": true, "staticcheck": true, "actionlint": true} // what Go's modules are not
	for _, path := range modules {
		found := false
		for _, name := range named {
			if matches(path, name) {
				found, used[name] = true, true
			}
		}
		if !found {
			t.Errorf("RATIONALE.md gives no reason for %s", path)
		}
	}
	for _, name := range named {
		if !used[name] {
			t.Errorf("RATIONALE.md has a row for %s, which go.mod does not require", name)
		}
	}
}

// matches reports whether the table's name is of the module at path, of a package in it, or of its owner.
func matches(path, name string) bool {
	path = strings.TrimPrefix(path, "github.com/") + "/"
	return strings.Contains("/"+path, "/"+name+"/") || strings.HasPrefix(name+"/", path)
}
