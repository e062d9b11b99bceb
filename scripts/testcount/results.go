package main

import (
	"fmt"
	"os"
	"strings"
)

// The outcomes, as go test -json names them.
const (
	pass = "pass"
	fail = "fail"
	skip = "skip"
)

// result is the outcome of one run of one test. Test is empty for a package that failed as a whole.
type result struct{ Package, Test, Outcome string }

// appendResults adds results to file, one tab-separated line each.
func appendResults(file string, results []result) error {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", r.Package, r.Test, r.Outcome)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(b.String()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func readResults(file string) ([]result, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var results []result
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 {
			return nil, fmt.Errorf("%s: not a line of results: %q", file, line)
		}
		results = append(results, result{f[0], f[1], f[2]})
	}
	return results, nil
}

// summary counts names, not runs.
type summary struct{ Passed, Failed, Skipped int }

func (s summary) String() string {
	line := fmt.Sprintf("%d passed, %d failed", s.Passed, s.Failed)
	if s.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", s.Skipped)
	}
	return line
}

// summarise gives each name its worst outcome: fail before pass, and pass before skip, because a test that was skipped in
// one run and passed in another did run.
func summarise(results []result) summary {
	rank := map[string]int{skip: 0, pass: 1, fail: 2}
	worst := map[[2]string]string{}
	for _, r := range results {
		key := [2]string{r.Package, r.Test}
		if old, ok := worst[key]; !ok || rank[r.Outcome] > rank[old] {
			worst[key] = r.Outcome
		}
	}
	var s summary
	for _, outcome := range worst {
		switch outcome {
		case pass:
			s.Passed++
		case fail:
			s.Failed++
		case skip:
			s.Skipped++
		}
	}
	return s
}
