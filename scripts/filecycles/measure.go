package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// result is what was measured of one package, without its tests. Files that a program wrote are not counted.
type result struct {
	Package string
	Files   int
	Lines   int
	Cycle   []string // the files of the largest cycle, sorted; none if no file needs one that needs it
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string
	Imports           []string
	ImportMap         map[string]string
	Module            *struct{ Main bool }
	DepOnly           bool
	Export            string // file of export data
}

func (l listed) ours() bool { return l.Module != nil && l.Module.Main }

// list calls go list in dir.
func list(dir string, args ...string) ([]listed, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages = append(packages, p)
	}
}

// measure returns the results of the packages that the patterns name, in go list's order. dir is a folder of the module.
func measure(dir string, patterns []string) ([]result, error) {
	const fields = "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,ImportMap,Module,DepOnly,Export"
	packages, err := list(dir, append([]string{"-deps", fields}, patterns...)...)
	if err != nil {
		return nil, err
	}
	c := checker{fset: token.NewFileSet(), ours: map[string]*types.Package{}, export: map[string]string{}}
	if err := c.findExports(dir, fields, packages); err != nil {
		return nil, err
	}
	var results []result
	for _, p := range packages { // what is imported comes first
		if !p.ours() {
			continue
		}
		r, err := c.check(p)
		if err != nil {
			return nil, err
		}
		if !p.DepOnly {
			results = append(results, r)
		}
	}
	return results, nil
}

// checker finds the types of packages: ours from their source, all others from what the compiler exported of them.
type checker struct {
	fset   *token.FileSet
	ours   map[string]*types.Package
	export map[string]string
	others types.Importer
}

// findExports has the packages compiled that ours import from elsewhere.
func (c *checker) findExports(dir, fields string, packages []listed) error {
	args := []string{"-deps", "-export", fields}
	seen := map[string]bool{"C": true, "unsafe": true}
	for _, p := range packages {
		seen[p.ImportPath] = seen[p.ImportPath] || p.ours()
	}
	for _, p := range packages {
		for _, path := range p.Imports {
			if p.ours() && !seen[path] {
				seen[path] = true
				args = append(args, path)
			}
		}
	}
	others := []listed{}
	if len(args) > 3 {
		var err error
		if others, err = list(dir, args...); err != nil {
			return err
		}
	}
	for _, p := range others {
		c.export[p.ImportPath] = p.Export
	}
	c.others = importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(c.export[path]) })
	return nil
}

// Import is that of [types.Importer].
func (c *checker) Import(path string) (*types.Package, error) {
	if p := c.ours[path]; p != nil {
		return p, nil
	}
	return c.others.Import(path)
}

// check finds the types of one package of ours and measures its files.
func (c *checker) check(p listed) (result, error) {
	r := result{Package: p.ImportPath}
	var files []*ast.File
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return r, err
		}
		f, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return r, err
		}
		files = append(files, f)
		if !ast.IsGenerated(f) {
			r.Files++
			r.Lines += bytes.Count(src, []byte("\n"))
		}
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: c, FakeImportC: true}
	if len(p.CgoFiles) > 0 {
		config.Error = func(error) {} // the types of C are unknown, and so is what is computed with them
	}
	checked, err := config.Check(p.ImportPath, c.fset, files, &info)
	if err != nil && config.Error == nil {
		return r, err
	}
	c.ours[p.ImportPath] = checked
	uses := map[string]map[string]bool{}
	for ident, object := range info.Uses {
		if object.Pkg() != checked || !object.Pos().IsValid() {
			continue
		}
		from, to := c.fset.File(ident.Pos()).Name(), c.fset.File(object.Pos()).Name()
		if uses[from] == nil {
			uses[from] = map[string]bool{}
		}
		uses[from][to] = true
	}
	r.Cycle = largestCycle(uses)
	return r, nil
}
