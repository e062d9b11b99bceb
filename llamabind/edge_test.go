package llamabind_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// What the program prints: "case: status text", the statuses in the order of bp_status.
const edges = `nothing: 0
an Error: 5 llama_decode failed
an internal Error: 2 why
an assertion: 9 file.c:12: boom 3
an assertion while loading: 2 file.c:12: boom 3
bad_alloc: 4 out of memory
another exception: 1 too far
no exception at all: 9 an exception of an unknown type
kept in the hook: 6 not captured
a long text: 1023
values: 2 1
read: 1.5 of 24
a stream in half precision: 3 the residual stream is not in single precision
left: 1 context, 1 buffer
a tensor out of its buffer: 9 GGML_ASSERT
left: 1 context, 1 buffer
no buffer: backend.c:7: cannot allocate 96000 bytes
left: 1 context, 0 buffers
left: 0 contexts, 0 buffers
`

// Whatever is thrown in the shim leaves it as a status and a text, and leaves no memory behind.
func TestEdge(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "edge")
	args := []string{"-std=c++17", "-O0", "-o", bin, "testdata/edge_test.cpp", "edge.cpp"}
	args = append(args, lines(t, "go", "list", "-f", `{{join .CgoCPPFLAGS "\n"}}`)...)
	args = append(args, lines(t, "go", "list", "-f", `{{join .CgoLDFLAGS "\n"}}`)...)
	cxx := strings.Fields(lines(t, "go", "env", "CXX")[0])
	if out, err := exec.Command(cxx[0], append(cxx[1:], args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := regexp.MustCompile(`\S+: GGML_ASSERT.*`).ReplaceAllString(string(out), "GGML_ASSERT") // at a line of ggml's own
	got = strings.ReplaceAll(got, " \n", "\n")
	if diff := cmp.Diff(edges, got); diff != "" {
		t.Error(diff)
	}
}

func lines(t *testing.T, name string, args ...string) []string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// ggml asserts that an RPC server answers. That is no fault of the program, and the error says what to do.
func TestMissingRPCServer(t *testing.T) {
	t.Parallel()
	_, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{RPC: []string{"127.0.0.1:1"}})
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.LoadFailed || !strings.Contains(e.Text, "nothing at 127.0.0.1:1 answers") {
		t.Error(err)
	}
}
