package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/cli"
)

// manuals are the documents that tell what to type.
var manuals = []string{"README.md", "docs/USAGE.md"}

// flagsOf returns the flags that the help of a command names.
func flagsOf(t *testing.T, command string) []string {
	t.Helper()
	var out, errs strings.Builder
	if err := cli.Run(t.Context(), []string{"help", command}, cli.Env{Engine: enginetest.Runtime{}, Out: &out, Err: &errs}); err != nil {
		t.Errorf("help %s: %v", command, err)
	}
	return flagNames(out.String())
}

var flagName = regexp.MustCompile(`(?:^|[\s,` + "`" + `(])(--?[a-z][a-z-]*)`)

// flagNames returns the flags that a text names.
func flagNames(text string) (names []string) {
	for _, m := range flagName.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

var (
	continued = regexp.MustCompile(`\\\n\s*`)
	typed     = regexp.MustCompile(`(?m)^(?:    |\$ )(?:\./)?ggufprune ([a-z]+)(.*)$`)
	comment   = regexp.MustCompile(`\s#.*`)
)

// What the documents tell to type are commands that there are, with flags that these have.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	for _, page := range manuals {
		lines := typed.FindAllStringSubmatch(continued.ReplaceAllString(read(t, page), " "), -1)
		if len(lines) < 3 {
			t.Errorf("%s has %d command lines", page, len(lines))
		}
		for _, line := range lines {
			known := flagsOf(t, line[1])
			for _, name := range flagNames(comment.ReplaceAllString(line[2], "")) {
				if !slices.Contains(known, name) {
					t.Errorf("%s: %s has no flag %s", page, line[1], name)
				}
			}
		}
	}
}

var flagRow = regexp.MustCompile("(?m)^\\| (`-.*?) \\| (.*?) \\| ")

// Each flag of the table is one of a command that its row names, and each of these commands has one of the row's flags.
func TestFlagTable(t *testing.T) {
	t.Parallel()
	rows := flagRow.FindAllStringSubmatch(read(t, "docs/USAGE.md"), -1)
	if len(rows) < 10 {
		t.Fatalf("USAGE.md has a table of %d flags", len(rows))
	}
	for _, row := range rows {
		if row[2] == "all" {
			row[2] = "prune, search, apply, ppl, eval, inspect"
		}
		flags, found := flagNames(row[1]), map[string]bool{}
		for _, command := range regexp.MustCompile(`[a-z]+`).FindAllString(regexp.MustCompile(`\(.*?\)`).ReplaceAllString(row[2], ""), -1) {
			known, any := flagsOf(t, command), false
			for _, name := range flags {
				if slices.Contains(known, name) {
					any, found[name] = true, true
				}
			}
			if !any {
				t.Errorf("%s has none of %s", command, row[1])
			}
		}
		for _, name := range flags {
			if !found[name] {
				t.Errorf("none of %s has the flag %s", row[2], name)
			}
		}
	}
}
