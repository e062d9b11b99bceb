package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ui"
)

// manCommand is "ggufprune man".
type manCommand struct{}

const manUsage = `Usage: ggufprune man

Prints the manual page, for man to show or to be installed as ggufprune.1. It is made from the texts that --help prints.

Examples:
  ggufprune man > ggufprune.1
  ggufprune man -q
` + commonUsage

func (*manCommand) usage() string { return manUsage }

func (*manCommand) flags(*pflag.FlagSet) {}

func (*manCommand) run(_ context.Context, _ *pflag.FlagSet, u *ui.UI) error {
	return printText(u, "man", manPage())
}

// manPage returns the manual page in the man macros, which man-db, mandoc and macOS read. Flags that several commands have in common
// stand once, behind the commands.
func manPage() string {
	m := new(roff)
	m.macro("TH", "GGUFPRUNE", "1", "", Version(), "User Commands")
	m.macro("SH", "NAME")
	m.line("ggufprune - take blocks that are not needed out of a GGUF language model")
	m.macro("SH", "SYNOPSIS")
	m.macro("B", "ggufprune")
	m.line("COMMAND [FLAGS]")
	head := readUsage(usageHead + usageTail)
	m.macro("SH", "DESCRIPTION")
	m.paragraphs(head.about)
	m.examples(head.examples)
	m.macro("SH", "COMMANDS")
	for _, g := range groups {
		for _, e := range g.entries {
			m.macro("TP")
			m.macro("B", "ggufprune "+e.name)
			m.line(e.summary)
		}
	}
	m.macro("TP")
	m.macro("B", "ggufprune help")
	m.line(helpSummary)
	shared := sharedSections()
	for _, e := range entries() {
		p := readUsage(e.new().usage())
		m.macro("SH", strings.ToUpper(e.name))
		m.macro("B", p.synopsis)
		m.macro("PP")
		m.paragraphs(p.about)
		m.examples(p.examples)
		for _, s := range p.sections {
			if len(shared[s.key()]) < 2 {
				m.section(s, s.heading)
			}
		}
	}
	m.macro("SH", "COMMON FLAGS")
	m.sharedFlags(shared)
	m.macro("SH", "ENVIRONMENT")
	m.macro("TP")
	m.macro("B", "NO_COLOR")
	m.line("Without colours, if it is set to anything. There are none either where the output is no terminal.")
	m.macro("SH", "SEE ALSO")
	m.line("llama-perplexity, llama-quantize and llama-cli of llama.cpp; the folder docs of the source.")
	return m.String()
}

// key identifies a section that several commands have word for word.
func (s flagSection) key() string { return fmt.Sprint(s) }

// sharedSections returns the names of the commands that have each section.
func sharedSections() map[string][]string {
	out := map[string][]string{}
	for _, e := range entries() {
		for _, s := range readUsage(e.new().usage()).sections {
			out[s.key()] = append(out[s.key()], e.name)
		}
	}
	return out
}

// roff writes a page in the man macros.
type roff struct{ strings.Builder }

// sharedFlags writes the sections that several commands have, in the order in which the commands come.
func (m *roff) sharedFlags(shared map[string][]string) {
	done := map[string]bool{}
	for _, e := range entries() {
		for _, s := range readUsage(e.new().usage()).sections {
			of := shared[s.key()]
			if len(of) < 2 || done[s.key()] {
				continue
			}
			done[s.key()] = true
			heading := s.heading
			if len(of) < len(entries()) {
				heading += " (" + strings.Join(of, ", ") + ")"
			}
			m.section(s, heading)
		}
	}
}

func (m *roff) section(s flagSection, heading string) {
	m.macro("SS", heading)
	for _, n := range s.notes {
		m.line(n)
	}
	for _, f := range s.flags {
		m.macro("TP")
		names := roffBold(f.long)
		if f.short != "" {
			names = roffBold(f.short) + ", " + names
		}
		if f.value != "" {
			names += " \\fI" + roffText(f.value) + "\\fR"
		}
		m.WriteString(names + "\n")
		m.line(f.text)
	}
}

func (m *roff) paragraphs(list []string) {
	for i, p := range list {
		if i > 0 {
			m.macro("PP")
		}
		m.line(p)
	}
}

func (m *roff) examples(lines []string) {
	if len(lines) == 0 {
		return
	}
	m.macro("PP")
	m.line("Examples:")
	m.macro("PP")
	m.macro("nf")
	m.macro("RS", "4")
	for _, l := range lines {
		m.line(l)
	}
	m.macro("RE")
	m.macro("fi")
}

// macro writes a request with its arguments in quotes.
func (m *roff) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, a := range args {
		m.WriteString(` "` + strings.ReplaceAll(roffText(a), `"`, `\(dq`) + `"`)
	}
	m.WriteString("\n")
}

// line writes text; what would begin a request at its start is no request.
func (m *roff) line(s string) {
	s = roffText(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	m.WriteString(s + "\n")
}

func roffText(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`).Replace(s)
}

func roffBold(s string) string { return `\fB` + roffText(s) + `\fR` }
