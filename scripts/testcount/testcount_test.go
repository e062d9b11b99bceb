package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const stream = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"    x_test.go:3: chatter of a test that passes\n"}
{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestY/sub","Output":"    y_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"a","Test":"TestY/sub"}
{"Action":"fail","Package":"a","Test":"TestY"}
{"Action":"skip","Package":"a","Test":"TestZ"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
{"Action":"output","Package":"b","Output":"PASS\n"}
{"Action":"output","Package":"b","Output":"ok  \tb\t0.2s\n"}
{"Action":"pass","Package":"b"}
go: a message of go itself
{"ImportPath":"c","Action":"build-output","Output":"c.go:1: undefined: nothing\n"}
{"ImportPath":"c","Action":"build-fail"}
{"Action":"output","Package":"c","Output":"FAIL\tc [build failed]\n"}
{"Action":"fail","Package":"c"}
{"Action":"output","Package":"d","Output":"?   \td\t[no test files]\n"}
{"Action":"skip","Package":"d"}
`

func TestFollow(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	got, err := follow(strings.NewReader(stream), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := []result{
		{"a", "TestX", pass},
		{"a", "TestY/sub", fail},
		{"a", "TestY", fail},
		{"a", "TestZ", skip},
		{"c", "", fail},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	wantOut := "    y_test.go:7: got 1, want 2\nFAIL\ta\t0.1s\nok  \tb\t0.2s\ngo: a message of go itself\n" +
		"c.go:1: undefined: nothing\nFAIL\tc [build failed]\n"
	if d := cmp.Diff(wantOut, out.String()); d != "" {
		t.Error(d)
	}
}

// A package that dies after its tests passed (os.Exit in TestMain, say) must not go unnoticed.
func TestFollowPackageFailsAlone(t *testing.T) {
	t.Parallel()
	got, err := follow(strings.NewReader(`{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"fail","Package":"a"}`), new(strings.Builder))
	if err != nil {
		t.Fatal(err)
	}
	if s := summarise(got); s != (summary{Passed: 1, Failed: 1}) {
		t.Errorf("got %v", s)
	}
}

func TestSummaryCountsNames(t *testing.T) {
	t.Parallel()
	s := summarise([]result{
		{"a", "TestX", pass},
		{"a", "TestX", pass}, // again, with -race
		{"b", "TestX", pass},
		{"a", "TestY", pass},
		{"a", "TestY", fail},
		{"a", "TestZ", skip},
		{"a", "TestW", skip},
		{"a", "TestW", pass},
		{"stage", "lint", pass},
	})
	if got, want := s.String(), "4 passed, 1 failed, 1 skipped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (summary{Passed: 3}).String(), "3 passed, 0 failed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestResultsRoundTrip(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results")
	first := []result{{"a", "TestX/with spaces", pass}, {"b", "", fail}}
	second := []result{{"stage", "lint", pass}}
	for _, r := range [][]result{first, nil, second} {
		if err := appendResults(file, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readResults(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(append(first, second...), got); d != "" {
		t.Error(d)
	}
	if err := os.WriteFile(file, []byte("half a line"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readResults(file); err == nil {
		t.Error("a damaged file was read without an error")
	}
}

func TestSumExitCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		results []result
		want    int
	}{
		{[]result{{"a", "TestX", pass}}, 0},
		{[]result{{"a", "TestX", pass}, {"a", "TestY", skip}}, 0},
		{[]result{{"a", "TestX", pass}, {"a", "TestY", fail}}, 1},
		{nil, 1}, // nothing ran: that is no success
	} {
		file := filepath.Join(t.TempDir(), "results")
		if err := appendResults(file, c.results); err != nil {
			t.Fatal(err)
		}
		if got, err := dispatch([]string{"sum", file}); got != c.want || err != nil {
			t.Errorf("%v: exit code %d, %v; want %d", c.results, got, err, c.want)
		}
	}
}

func TestDispatchRefusesUnknownOutcome(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results")
	if code, err := dispatch([]string{"stage", file, "lint", "perhaps"}); code == 0 || err == nil {
		t.Errorf("got %d, %v", code, err)
	}
}
