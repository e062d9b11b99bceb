package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitArgs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                            nil,
		"  a  b\t":                    {"a", "b"},
		`-L"/opt/my libs" -lx`:        {"-L/opt/my libs", "-lx"},
		`'a b'\ c "d\"e"`:             {"a b c", `d"e`},
		`""`:                          {""},
		"-Wl,--push-state -lstdc++fs": {"-Wl,--push-state", "-lstdc++fs"},
	} {
		if d := cmp.Diff(want, splitArgs(in)); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
}

func TestLinkFlags(t *testing.T) {
	t.Parallel()
	flags, archives := linkFlags([]fragment{
		{"-O3 -DNDEBUG -fopenmp -arch arm64 -isysroot /sdk", "flags"},
		{"", "flags"},
		{"libllamahook.a", "libraries"},
		{"src/src/libllama.a", "libraries"},
		{"src/ggml/libggml-base.a", "libraries"},
		{"-L/opt/cuda/lib64/stubs", "libraryPath"},
		{"/opt/cuda/lib64/libcublas.so.12", "libraries"},
		{"-lcuda", "libraries"},
		{"-framework Metal -Xlinker", "libraries"},
		{"-framework", "libraries"},
		{"Foundation", "libraries"},
		{"src/ggml/libggml-base.a", "libraries"},
		{"/usr/lib/libpthread.a", "libraries"},
	}, "/t/build")
	want := []string{
		"-fopenmp",
		"/t/build/libllamahook.a",
		"/t/build/src/src/libllama.a",
		"/t/build/src/ggml/libggml-base.a",
		"-L/opt/cuda/lib64/stubs",
		"-L/opt/cuda/lib64", "-l:libcublas.so.12",
		"-lcuda",
		"-Wl,-framework,Metal", "-Xlinker",
		"-Wl,-framework,Foundation",
		"/t/build/src/ggml/libggml-base.a",
		"/usr/lib/libpthread.a",
	}
	if d := cmp.Diff(want, flags); d != "" {
		t.Error(d)
	}
	wantArchives := []string{"/t/build/libllamahook.a", "/t/build/src/src/libllama.a", "/t/build/src/ggml/libggml-base.a"}
	if d := cmp.Diff(wantArchives, archives); d != "" {
		t.Error(d)
	}
}

func TestDirective(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/t/third_party/build/liba.a":   "${SRCDIR}/../third_party/build/liba.a",
		"-L/t/third_party/build":        "-L${SRCDIR}/../third_party/build",
		"/usr/lib/libz.so":              "/usr/lib/libz.so",
		"/tmp/liba.a":                   "/tmp/liba.a",
		"-l:libcublas.so.12":            "-l:libcublas.so.12",
		"/opt/my libs/libz.so":          `"/opt/my libs/libz.so"`,
		"/t/third_party/my build/lib.a": `"${SRCDIR}/../third_party/my build/lib.a"`,
	} {
		if got := directive(in, "/t", "/t/llamabind"); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// layOut makes a tree with a reply of CMake and one archive, and returns the options for it.
func layOut(t *testing.T) options {
	t.Helper()
	root := t.TempDir()
	build := filepath.Join(root, "third_party", "llama.cpp", "build")
	write(t, filepath.Join(build, ".cmake", "api", "v1", "reply", "target-linkprobe-Release-1.json"),
		`{"link":{"commandFragments":[{"fragment":"-O3","role":"flags"},{"fragment":"liba.a","role":"libraries"},{"fragment":"-lm","role":"libraries"}]}}`)
	write(t, filepath.Join(build, "liba.a"), "one")
	return options{Build: build, Tag: "v1", Tree: "abc", Out: filepath.Join(root, "llamabind", "link_generated.go")}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRun(t *testing.T) {
	t.Parallel()
	o := layOut(t)
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	first := read(t, o.Out)
	if _, err := parser.ParseFile(token.NewFileSet(), o.Out, first, parser.ParseComments); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"package llamabind\n",
		"#cgo CPPFLAGS: -I${SRCDIR}/../third_party/llama.cpp/src/include -I${SRCDIR}/../third_party/llama.cpp/src/ggml/include -I${SRCDIR}/../third_party/llama.cpp/src/common\n",
		"#cgo LDFLAGS: ${SRCDIR}/../third_party/llama.cpp/build/liba.a\n#cgo LDFLAGS: -lm\n",
		"LlamaTag  = \"v1\"\n",
		"LlamaTree = \"abc\"\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}

	before, err := os.Stat(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(o.Out); err != nil || !os.SameFile(before, after) {
		t.Error("the same archives made a new file: Go would build again for nothing")
	}

	write(t, filepath.Join(o.Build, "liba.a"), "two")
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	if read(t, o.Out) == first {
		t.Error("a changed archive left the file as it was: Go would not link again")
	}
}

func TestRunErrors(t *testing.T) {
	t.Parallel()
	o := layOut(t)
	if err := os.Remove(filepath.Join(o.Build, "liba.a")); err != nil {
		t.Fatal(err)
	}
	if err := run(o); err == nil {
		t.Error("a missing archive: no error")
	}

	o = layOut(t)
	reply := filepath.Join(o.Build, ".cmake", "api", "v1", "reply")
	write(t, filepath.Join(reply, "target-linkprobe-Release-2.json"), "{}")
	if err := run(o); err == nil || !strings.Contains(err.Error(), "2 files match") {
		t.Errorf("two replies: %v", err)
	}

	o = layOut(t)
	write(t, filepath.Join(o.Build, ".cmake", "api", "v1", "reply", "target-linkprobe-Release-1.json"), `{"link":{}}`)
	if err := run(o); err == nil || !strings.Contains(err.Error(), "no link line") {
		t.Errorf("no link line: %v", err)
	}
}
