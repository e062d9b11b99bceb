// Testcount runs go test and keeps count, for .ci/run.
//
//	testcount run FILE ARGS...         go test -json ARGS..., printed as go test prints; results are appended to FILE
//	testcount stage FILE NAME pass|fail  append the result of something that is no Go test (lint, a sweep)
//	testcount sum FILE                 print "N passed, N failed" (", N skipped" if any); exit 1 unless all is well
//
// A test, and each of its subtests, counts once by its name, however often it ran; it failed if any of its runs failed.
// A package that does not build, or dies outside its tests, counts as one failure.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	code, err := dispatch(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// dispatch returns the exit code: go test's own for run, so that make stops where it would have stopped.
func dispatch(args []string) (int, error) {
	switch {
	case len(args) >= 2 && args[0] == "run":
		return runTests(args[1], args[2:])
	case len(args) == 4 && args[0] == "stage" && (args[3] == pass || args[3] == fail):
		return 0, appendResults(args[1], []result{{Package: "stage", Test: args[2], Outcome: args[3]}})
	case len(args) == 2 && args[0] == "sum":
		results, err := readResults(args[1])
		if err != nil {
			return 1, err
		}
		s := summarise(results)
		fmt.Println(s)
		if s.Failed > 0 || s.Passed == 0 {
			return 1, nil
		}
		return 0, nil
	}
	return 2, errors.New("usage: testcount run FILE ARGS... | stage FILE NAME pass|fail | sum FILE")
}
