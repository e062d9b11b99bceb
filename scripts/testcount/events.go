package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action  string // start, run, output, pass, fail, skip, build-output, build-fail...
	Package string
	Test    string // empty: the package itself
	Output  string
}

// runTests runs go test -json with args, prints to standard output, appends results to file, and returns its exit code.
func runTests(file string, args []string) (int, error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	results, readErr := follow(pipe, os.Stdout)
	code := 0
	if err := cmd.Wait(); err != nil {
		code = 1
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
	}
	return code, errors.Join(readErr, appendResults(file, results))
}

// follow reads events until the end and returns the results. To w goes what go test prints without -v: the packages'
// lines as they end, what does not build, and the output of tests that fail.
func follow(r io.Reader, w io.Writer) ([]result, error) {
	var results []result
	output := map[[2]string]*strings.Builder{} // of each test that runs, by package and name
	failed := map[string]bool{}                // packages with a failed test
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err == io.EOF {
			return results, nil
		}
		if err != nil && err != io.EOF {
			return results, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(w, "%s", line) // go's own messages are not JSON
			continue
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(w, e.Output)
		case "output":
			if e.Test == "" {
				printPackageLine(w, e.Output)
				continue
			}
			if output[key] == nil {
				output[key] = new(strings.Builder)
			}
			output[key].WriteString(e.Output)
		case pass, fail, skip:
			if e.Action == fail && output[key] != nil {
				fmt.Fprint(w, output[key])
			}
			delete(output, key)
			if e.Test != "" {
				failed[e.Package] = failed[e.Package] || e.Action == fail
				results = append(results, result{e.Package, e.Test, e.Action})
			} else if e.Action == fail && !failed[e.Package] {
				results = append(results, result{e.Package, "", fail})
			}
		}
	}
}

func printPackageLine(w io.Writer, line string) {
	if line != "PASS\n" && !strings.HasSuffix(line, "[no test files]\n") {
		fmt.Fprint(w, line)
	}
}
