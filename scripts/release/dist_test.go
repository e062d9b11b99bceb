package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The same files give the same bytes: sorted, with the given time, nobody's, and no name or time in gzip's header.
func TestArchive(t *testing.T) {
	t.Parallel()
	when := time.Unix(1700000000, 0)
	files := map[string]file{}
	for _, name := range []string{"z", "a", "bin/x", "b"} {
		files[name] = file{data: []byte("content of " + name), executable: name == "bin/x"}
	}
	data, err := archive("top", files, when)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // maps have no order
		again, err := archive("top", files, when)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("other bytes: %v", err)
		}
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil || !z.ModTime.IsZero() || z.Name != "" {
		t.Fatalf("gzip header %+v, %v", z.Header, err)
	}
	r := tar.NewReader(z)
	var names []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		mode := int64(0o644)
		if h.Name == "top/bin/x" {
			mode = 0o755
		}
		if !h.ModTime.Equal(when) || h.Mode != mode || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if got := strings.Join(names, " "); got != "top/a top/b top/bin/x top/z" {
		t.Errorf("files %s", got)
	}
}

// Each component's licences are there, a shared text once with all who have it, and one without a licence is an error.
func TestLicences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a/LICENSE.md", "Same\r\ntext\n")
	write("b/UNLICENSE", "Same\ntext")
	write("b/NOTICE", "Notice of b")
	write("c/COPYING", "Copying of c")
	write("c/licenses.go", "no licence")
	write("d/README.md", "none")
	of := func(name string) component {
		return component{name: name, version: "v1", dir: filepath.Join(dir, name)}
	}
	text, err := render([]component{of("c"), of("b"), of("a")})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\na v1\nb v1\n\nSame\ntext\n", "\nb v1\n\nNotice of b\n", "\nc v1\n\nCopying of c\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "no licence") || strings.Count(string(text), "Same") != 1 {
		t.Errorf("%s", text)
	}
	if _, err := render([]component{of("a"), of("d")}); err == nil || !strings.Contains(err.Error(), "d v1 has no licence file") {
		t.Errorf("no licence: %v", err)
	}
}

// The version and time come from the environment and the source around the test, as make dist takes them.
func TestRelease(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	version, when, err := release(t.Context())
	if err != nil || !strings.HasPrefix(version, "v") || when.Unix() != 1700000000 {
		t.Errorf("%q, %v, %v", version, when, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, _, err := release(t.Context()); err == nil {
		t.Error("a date that is no number was taken")
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "x.tar.gz")
	if err := publish(path, []byte("data")); err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(path + ".sha256")
	const want = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7  x.tar.gz\n"
	if err != nil || string(sum) != want {
		t.Errorf("%q, %v", sum, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
