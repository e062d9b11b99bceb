package gguf

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// memFile is a sink in memory.
type memFile struct{ bytes.Buffer }

func (m *memFile) Preallocate() error      { return nil }
func (m *memFile) Writeback(_, _, _ int64) {}

// planBytes is the file that the plan makes.
func planBytes(t interface{ Fatal(...any) }, p *Plan) []byte {
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	var m memFile
	if err := writePlan(context.Background(), &m, p, nil); err != nil {
		t.Fatal(err)
	}
	return m.Bytes()
}

// planOf copies everything in f.
func planOf(f *File) *Plan {
	p := &Plan{Alignment: f.Alignment(), KVs: f.KVs()}
	for _, t := range f.Tensors() {
		p.Tensors = append(p.Tensors, PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: Copy(f, t)})
	}
	return p
}

// openBytes opens a file of the given bytes.
func openBytes(t testing.TB, b []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

// openModel opens a file that must be sound.
func openModel(t testing.TB, m gguftest.Model) *File {
	t.Helper()
	f, err := openBytes(t, gguftest.Build(m))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// names lists a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
