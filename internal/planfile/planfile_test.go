package planfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/search/plan"
)

// sample is the text of a plan, and the plan.
func sample(t *testing.T) (string, *plan.Plan) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "search", "plan", "testdata", "mix.plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), p
}

func TestWriteReplacesAndFailsWhole(t *testing.T) {
	t.Parallel()
	text, p := sample(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	bad := *p
	bad.Metric = ""
	if err := Write(path, &bad); err == nil {
		t.Error("an unreadable plan was written")
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("after a failure: %q", data)
	}
	if err := Write(path, p); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != text {
		t.Errorf("written %s", data)
	}
	if got, err := Read(path); err != nil || len(got.Steps) != len(p.Steps) {
		t.Errorf("read %+v, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := Write(filepath.Join(dir, "none", "plan.json"), p); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "write plan: ") {
		t.Errorf("missing folder: %v", err)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	_, p := sample(t)
	path := filepath.Join(t.TempDir(), "order.json")
	if err := WriteOrder(path, p); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadOrder(path); err != nil || !slices.Equal(got, p.Removed(len(p.Steps))) {
		t.Errorf("%v, %v; the plan removes %v", got, err, p.Removed(len(p.Steps)))
	}
	if err := os.WriteFile(path, []byte("{\n\"1\": x}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOrder(path); err == nil || !strings.Contains(err.Error(), path+" is no usable order: line 2") {
		t.Errorf("bad file: %v", err)
	}
	if _, err := ReadOrder(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := WriteOrder(path, &plan.Plan{}); err == nil {
		t.Error("the order of nothing was written")
	}
}

func TestReadNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(path, []byte("{\n\"format\": x}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(path)
	var bad *Error
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), path+" is no usable plan: line 2") {
		t.Errorf("bad file: %v", err)
	}
	if _, err := Read(path + ".none"); !errors.Is(err, os.ErrNotExist) || errors.As(err, &bad) && bad.Path != path {
		t.Errorf("missing file: %v", err)
	}
}
