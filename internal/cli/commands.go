package cli

import (
	"fmt"
	"strings"
)

// entry is a row of the table of commands, which help, completions and the man page are made from.
type entry struct {
	name, summary string
	new           func() command
}

// group is some commands under a heading of the help.
type group struct {
	heading string
	entries []entry
}

// groups is the table of commands.
var groups = []group{
	{"Make a smaller model", []entry{
		{"prune", "search, write and check a pruned model: the whole job", func() command { return new(pruneCommand) }},
		{"search", "only search, and save the plan", func() command { return new(searchCommand) }},
		{"apply", "only write and check: a plan's or a given mask's blocks removed", func() command { return new(applyCommand) }},
		{"repair", "re-fit what stayed in a pruned model, to win back what it lost", func() command { return new(repairCommand) }},
		{"quantize", "quantise a model with llama.cpp's quantiser", func() command { return new(quantizeCommand) }},
	}},
	{"Look at models", []entry{
		{"compare", "models side by side: quality, size and speed; two models in a running Ollama", func() command { return new(compareCommand) }},
		{"ppl", "perplexity of a model, or of a model with blocks left out", func() command { return new(pplCommand) }},
		{"eval", "accuracy on multiple-choice tasks: HellaSwag, WinoGrande, PIQA, ARC", func() command { return new(evalCommand) }},
		{"report", "a page of a plan: curves, importance of blocks, provenance", func() command { return new(reportCommand) }},
		{"inspect", "a model's blocks, their sizes, and what could be removed how", func() command { return new(inspectCommand) }},
		{"demo", "prune the small model that comes with the source", func() command { return new(demoCommand) }},
	}},
	{"About the program", []entry{
		{"version", "version of this program and of its llama.cpp", func() command { return new(versionCommand) }},
		{"completion", "completions for bash, zsh or fish", func() command { return new(completionCommand) }},
		{"man", "the manual page", func() command { return new(manCommand) }},
	}},
}

// entries returns the whole table.
func entries() []entry {
	var out []entry
	for _, g := range groups {
		out = append(out, g.entries...)
	}
	return out
}

// lookup returns a fresh command by its name, or nil.
func lookup(name string) command {
	for _, g := range groups {
		for _, e := range g.entries {
			if e.name == name {
				return e.new()
			}
		}
	}
	return nil
}

const (
	helpSummary = "this text, or a command's: ggufprune help prune"

	usageHead = `Usage: ggufprune <command> [flags]

Removes single attention and FFN blocks from a GGUF model, chosen by perplexity (BlockPruner), and writes a smaller GGUF
that stock llama.cpp runs.
`
	usageTail = `
Examples:
  ggufprune prune -m model.gguf --ratio 0.2
  ggufprune inspect -m model.gguf

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 model or mask not supported, 4 the written file failed its check (it is
removed), 130 interrupted.
`
)

// programUsage is the text of "ggufprune help".
func programUsage() string {
	width := 0
	for _, e := range entries() {
		width = max(width, len(e.name))
	}
	var b strings.Builder
	b.WriteString(usageHead)
	for i, g := range groups {
		fmt.Fprintf(&b, "\n%s:\n", g.heading)
		for _, e := range g.entries {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, e.name, e.summary)
		}
		if i == len(groups)-1 {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, "help", helpSummary)
		}
	}
	b.WriteString(usageTail)
	return b.String()
}
