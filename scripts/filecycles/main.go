// Command filecycles measures how well the files of a package can be read on their own: for each package it prints the number of
// files and lines without tests, the size of the largest cycle of files, and its members.
//
//	go run ./scripts/filecycles [-max 6] [packages]
//
// One file uses another when it names something that the other declares: a function, a type, a constant, a method, a field. Files
// stand in a cycle when each reaches every other over such uses, so that none of them can be understood without all. With -max, a
// cycle of more files is an error (exit code 1). Without packages it measures ./...
//
// Packages of this module are read from their source, so nothing of llama.cpp has to be built.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	most := flag.Int("max", 0, "files that may stand in one cycle; 0 is any number")
	flag.Parse()
	patterns := flag.Args()
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	found, err := measure(".", patterns)
	if err != nil {
		fmt.Fprintln(os.Stderr, "filecycles:", err)
		os.Exit(2)
	}
	print(os.Stdout, found)
	bad := false
	for _, r := range found {
		if *most > 0 && len(r.Cycle) > *most {
			fmt.Fprintf(os.Stderr, "filecycles: %d files of %s stand in one cycle, at most %d may; move what they share into a file below them\n",
				len(r.Cycle), r.Package, *most)
			bad = true
		}
	}
	if bad {
		os.Exit(1)
	}
}

// print writes one line for each package, in columns.
func print(out io.Writer, results []result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "package\tfiles\tlines\tcycle\tits files")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", r.Package, r.Files, r.Lines, len(r.Cycle), strings.Join(r.Cycle, " "))
	}
	w.Flush()
}
