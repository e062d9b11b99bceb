package gguf

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// FuzzSplit opens two files by any names that claim to be any shards of a model. They are one model only where both say so, and refused
// with one line otherwise.
func FuzzSplit(f *testing.F) {
	f.Add("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", uint16(2), uint16(0), uint16(1), uint16(1))
	f.Add("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", uint16(2), uint16(1), uint16(0), uint16(1))
	f.Add("m-00001-of-99999.gguf", "m-99999-of-99999.gguf", uint16(65535), uint16(0), uint16(1), uint16(1))
	f.Add("m-00000-of-00000.gguf", "m-00003-of-00002.gguf", uint16(0), uint16(0), uint16(0), uint16(0))
	f.Add("-00001-of-00001.gguf", "m-00001-OF-00002.GGUF", uint16(1), uint16(0), uint16(0), uint16(2))
	f.Add("a-00001-of-00002.gguf-00001-of-00002.gguf", "a-00001-of-00002.gguf-00002-of-00002.gguf", uint16(2), uint16(0), uint16(1), uint16(1))
	f.Fuzz(func(t *testing.T, first, second string, count, noFirst, noSecond, tensors uint16) {
		dir := t.TempDir()
		var paths []string
		for i, name := range []string{first, second} {
			if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 200 {
				return // no name of a file
			}
			m := gguftest.Model{KVs: gguftest.KVs("general.architecture", "x", "split.count", count, "split.no", []uint16{noFirst, noSecond}[i], "split.tensors.count", int32(tensors))}
			if i == 1 {
				m.Tensors = small().Tensors[:1]
			}
			paths = append(paths, filepath.Join(dir, name))
			if err := os.WriteFile(paths[i], gguftest.Build(m), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fuzztest.Bounded(t, len(first)+len(second), func() {
			for _, path := range paths {
				file, err := Open(path)
				if err != nil {
					if !strings.ContainsAny(path, "\r\n") {
						fuzztest.OneLine(t, err, 3*len(path))
					}
					continue
				}
				if len(file.Paths()) > 1 && (len(file.Paths()) != int(count) || first == second || noFirst == noSecond) || len(file.Tensors()) > 0 && len(file.Tensors()) != int(tensors) {
					t.Errorf("%s is a model of the files %q with %d tensors", path, file.Paths(), len(file.Tensors()))
				}
				readAll(t, file)
				file.Close()
			}
		})
	})
}

// A name alone says how many shards there are, which takes no more memory than a name of so many deserves.
func TestShardsOfALongPath(t *testing.T) {
	dir := t.TempDir()
	for range 15 {
		dir = filepath.Join(dir, strings.Repeat("d", 250))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		if runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		t.Skip(err) // macOS allows no path of that length
	}
	path := filepath.Join(dir, "m-00001-of-99999.gguf")
	if err := os.WriteFile(path, withKV("split.count", uint32(99999)), 0o644); err != nil {
		t.Fatal(err)
	}
	fuzztest.Bounded(t, 1<<10, func() {
		_, err := Open(path)
		fuzztest.OneLine(t, err, 3*len(path))
	})
}
