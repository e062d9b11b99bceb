package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the numbers of DESIGN.md's table of packages anew")

const module = "github.com/ggufprune/ggufprune"

// pkg is a package as go list sees it, by names that are relative to the module.
type pkg struct {
	ImportPath, Dir   string
	Imports           []string
	GoFiles, CgoFiles []string
	CXXFiles, HFiles  []string
}

// short is a package's path within the module, "main" for the program; "" for one of another module.
func short(path string) string {
	if path == module {
		return "main"
	}
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// lines counts the lines of the package's own files, tests apart.
func (p pkg) lines(t *testing.T) (files, lines int) {
	t.Helper()
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.CXXFiles, p.HFiles) {
		if name == "link_generated.go" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files++
		lines += bytes.Count(data, []byte("\n"))
	}
	return files, lines
}

// list is every package of the module, with its imports from the module. What only tests are made of is left out.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Imports,GoFiles,CgoFiles,CXXFiles,HFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // else llamabind has no files
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := short(p.ImportPath); name != "" && !aside.MatchString(name) {
			all[name] = p
		}
	}
}

// aside are helpers of tests, packages of tests alone, and the scripts' programs.
var aside = regexp.MustCompile(`^scripts/|^internal/docs$|(^|/)\w+test$`)

var packageRow = regexp.MustCompile("^\\| `([^`]+)` \\| (.*) \\| ([0-9]+) \\| ([0-9]+) \\|$")

// Everything that has files of its own stands in DESIGN.md's table, uses only what stands below it, and is about as large as it says.
func TestPackagesUseWhatIsBelow(t *testing.T) {
	t.Parallel()
	design := read(t, "docs/DESIGN.md")
	_, rest, ok1 := strings.Cut(design, "<!-- packages -->\n")
	table, _, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok1 || !ok2 {
		t.Fatal("DESIGN.md has no table of packages")
	}
	all := list(t)
	place := map[string]int{}
	fresh := table
	for i, line := range strings.Split(table, "\n") {
		m := packageRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		p, ok := all[m[1]]
		if !ok {
			t.Errorf("DESIGN.md has a package %s, which is not there", m[1])
			continue
		}
		place[m[1]] = i
		files, lines := p.lines(t)
		fresh = strings.Replace(fresh, line, fmt.Sprintf("| `%s` | %s | %d | %d |", m[1], m[2], files, lines), 1)
		told, _ := strconv.Atoi(m[4])
		if !*update && (m[3] != strconv.Itoa(files) || lines*10 > told*11+100 || lines*11+100 < told*10) {
			t.Errorf("%s has %d files with %d lines by now, DESIGN.md says %s and %s: go test ./internal/docs -update writes them anew", m[1], files, lines, m[3], m[4])
		}
		if (files > 15 || lines > 2500) && !strings.Contains(m[2], "(large:") {
			t.Errorf("%s has %d files with %d lines: more than 15 or 2500 needs a reason in its line of DESIGN.md, (large: ...)", m[1], files, lines)
		}
	}
	for name, p := range all {
		at, ok := place[name]
		if !ok {
			t.Errorf("package %s is not in DESIGN.md's table", name)
		}
		for _, imported := range p.Imports {
			if other := short(imported); other != "" && place[other] <= at && ok {
				t.Errorf("%s uses %s, which does not stand below it in DESIGN.md's table", name, other)
			}
		}
	}
	if *update {
		data := strings.Replace(design, table, fresh, 1)
		if err := os.WriteFile(filepath.Join("..", "..", "docs", "DESIGN.md"), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The rules under the table.
func TestArrows(t *testing.T) {
	t.Parallel()
	core := regexp.MustCompile(`^(blockmask|engine|gguf|perplexity|layout|fit|search)(/|$)`)
	measures := regexp.MustCompile(`^(main|internal/sweep|internal/bench(/\w+bench)?)$`)
	for name, p := range list(t) {
		for _, imported := range p.Imports {
			other := short(imported)
			switch {
			case other == "":
			case name == "llamabind" && other != "engine":
				t.Errorf("llamabind uses %s; it may use engine only", other)
			case other == "llamabind" && !measures.MatchString(name):
				t.Errorf("%s uses llamabind; take an engine.Runtime instead", name)
			case core.MatchString(name) && strings.HasPrefix(other, "internal/") && other != "internal/jsonnum" && other != "internal/outfile":
				t.Errorf("%s uses %s; the core uses nothing in internal but jsonnum and outfile", name, other)
			case aside.MatchString(other):
				t.Errorf("%s uses %s, which is for tests", name, other)
			case strings.HasPrefix(other, "internal/cli") && !strings.HasPrefix(name, "internal/cli") && name != "main",
				other == "internal/ui" && !strings.HasPrefix(name, "internal/cli"):
				t.Errorf("%s uses %s; jobs know no command line, and print nothing", name, other)
			}
		}
	}
}
