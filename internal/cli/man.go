package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/commands"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
)

// newManCmd returns "ggufprune man".
func newManCmd(e engine.Runtime) *cobra.Command {
	return commands.Define(e, &cobra.Command{
		Use:     "man",
		Short:   "the manual page",
		Long:    "Prints the manual page, for man to show or to be installed as ggufprune.1. It is made from what --help prints.",
		Example: "  ggufprune man > ggufprune.1\n  ggufprune man -q",
	}, nil, func(cmd *cobra.Command, _ []string, u *ui.UI) error {
		return render.Text(u, "man", manPage(cmd.Root()))
	})
}

// manPage returns the manual page in the man macros, which man-db, mandoc and macOS read. Flags that several commands have in common
// stand once, behind the commands.
//
// Cobra's own generator (cobra/doc) is not used: it makes a page for each command, with all flags in one list without headings and
// placeholders, and knows no -ngl.
func manPage(root *cobra.Command) string {
	m := new(roff)
	m.macro("TH", "GGUFPRUNE", "1", "", version.Tool(), "User Commands")
	m.macro("SH", "NAME")
	m.line("ggufprune - " + root.Short)
	m.macro("SH", "SYNOPSIS")
	m.macro("B", "ggufprune")
	m.line("COMMAND [FLAGS]")
	m.macro("SH", "DESCRIPTION")
	m.paragraphs(root.Long + "\n\n" + exitCodes)
	m.examples(root.Example)
	m.macro("SH", "COMMANDS")
	for _, cmd := range root.Commands() {
		m.macro("TP")
		m.macro("B", "ggufprune "+cmd.Name())
		m.line(cmd.Short)
	}
	shared := sharedSections(root)
	for _, cmd := range root.Commands() {
		if cmd.Example == "" {
			continue // help, whose line says all
		}
		m.macro("SH", strings.ToUpper(cmd.Name()))
		for i, s := range synopses(cmd) {
			if i > 0 {
				m.macro("br")
			}
			m.macro("B", s)
		}
		m.macro("PP")
		m.paragraphs(cmd.Long)
		m.examples(cmd.Example)
		for _, s := range sections(cmd) {
			if len(shared[s.key()]) < 2 {
				m.section(s, s.heading)
			}
		}
	}
	m.macro("SH", "COMMON FLAGS")
	m.sharedFlags(root, shared)
	m.macro("SH", "ENVIRONMENT")
	m.macro("TP")
	m.macro("B", "NO_COLOR")
	m.line("Without colours, if it is set to anything. There are none either where the output is no terminal.")
	m.macro("SH", "SEE ALSO")
	m.line("llama-perplexity, llama-quantize and llama-cli of llama.cpp; the folder docs of the source.")
	return m.String()
}

// key identifies a section that several commands have word for word.
func (s section) key() string {
	var b strings.Builder
	b.WriteString(s.heading)
	for _, f := range s.flags {
		fmt.Fprintln(&b, flags.Forms(f), flags.Value(f), flags.Usage(f))
	}
	return b.String()
}

// sharedSections returns the names of the commands that have each section.
func sharedSections(root *cobra.Command) map[string][]string {
	out := map[string][]string{}
	for _, cmd := range root.Commands() {
		for _, s := range sections(cmd) {
			out[s.key()] = append(out[s.key()], cmd.Name())
		}
	}
	return out
}

// sharedFlags writes the sections that several commands have, in the order in which the commands come.
func (m *roff) sharedFlags(root *cobra.Command, shared map[string][]string) {
	done := map[string]bool{}
	for _, cmd := range root.Commands() {
		for _, s := range sections(cmd) {
			of := shared[s.key()]
			if len(of) < 2 || done[s.key()] {
				continue
			}
			done[s.key()] = true
			heading := s.heading
			if everyCommand := len(root.Commands()) - 1; len(of) < everyCommand { // but help
				heading += " (" + strings.Join(of, ", ") + ")"
			}
			m.section(s, heading)
		}
	}
}

func (m *roff) section(s section, heading string) {
	m.macro("SS", heading)
	for _, f := range s.flags {
		m.flag(f)
	}
}

// flag writes a flag's forms in bold, its value's placeholder in italics, and what it means.
func (m *roff) flag(f *pflag.Flag) {
	m.macro("TP")
	forms := flags.Forms(f)
	for i, form := range forms {
		forms[i] = roffBold(form)
	}
	names := strings.Join(forms, ", ")
	if value := flags.Value(f); value != "" {
		names += " \\fI" + roffText(value) + "\\fR"
	}
	m.WriteString(names + "\n")
	for i, line := range strings.Split(flags.Usage(f), "\n") {
		if i > 0 {
			m.macro("br")
		}
		m.line(line)
	}
}
