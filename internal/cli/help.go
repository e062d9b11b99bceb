package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

// Help is as wide as a page of the documents, and what is said of flags begins at one column.
const (
	helpWidth  = 120
	helpColumn = 27
)

const exitCodes = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 model or mask not supported, 4 the written file failed its check (it is " +
	"removed), 130 interrupted."

// newHelpCmd returns "ggufprune help".
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [command]",
		Short:                 "this text, or a command's: ggufprune help prune",
		Long:                  "Prints what the commands do, or what one of them does and its flags.",
		DisableFlagsInUseLine: true,
		DisableFlagParsing:    true,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					if !c.Hidden && strings.HasPrefix(c.Name(), word) {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of := cmd.Root()
			if len(args) > 0 {
				if of = lookup(cmd.Root(), args[0]); of == nil {
					return unknown(cmd.Root(), "help", args[0])
				}
			}
			_, err := io.WriteString(cmd.OutOrStdout(), usage(of))
			return err
		},
	}
}

// usage is the help of the program or of one command.
func usage(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Usage: " + strings.Join(synopses(cmd), "\n       ") + "\n")
	for p := range strings.SplitSeq(cmd.Long, "\n\n") {
		if !strings.HasPrefix(p, "  ") { // a list stays as it is
			p = wrap(p, helpWidth, 0)
		}
		b.WriteString("\n" + p + "\n")
	}
	if !cmd.HasParent() {
		commandList(&b, cmd)
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	if !cmd.HasParent() {
		b.WriteString("\n" + wrap(exitCodes, helpWidth, 0) + "\n")
	}
	for _, s := range sections(cmd) {
		b.WriteString("\n" + wrap(s.heading+":", helpWidth, 0) + "\n")
		for _, f := range s.flags {
			b.WriteString(flagLines(f))
		}
	}
	return b.String()
}

// synopses are the forms of a command line, each with the program's name.
func synopses(cmd *cobra.Command) []string {
	if !cmd.HasParent() {
		return []string{cmd.Name() + " <command> [flags]"}
	}
	var out []string
	for use := range strings.SplitSeq(cmd.Use, "\n") {
		out = append(out, cmd.Root().Name()+" "+use)
	}
	return out
}

// commandList writes the commands under their headings.
func commandList(b *strings.Builder, root *cobra.Command) {
	width := 0
	for _, cmd := range root.Commands() {
		width = max(width, len(cmd.Name()))
	}
	for _, g := range root.Groups() {
		fmt.Fprintf(b, "\n%s:\n", g.Title)
		for _, cmd := range groupCommands(root, g) {
			fmt.Fprintf(b, "  %-*s  %s\n", width, cmd.Name(), cmd.Short)
		}
	}
}

// Commands stay in the order of the list.
func init() { cobra.EnableCommandSorting = false }

// groupCommands returns the commands of a group, in the list's order.
func groupCommands(root *cobra.Command, g *cobra.Group) []*cobra.Command {
	var out []*cobra.Command
	for _, cmd := range root.Commands() {
		if cmd.GroupID == g.ID {
			out = append(out, cmd)
		}
	}
	return out
}

// section is a command's flags under one heading.
type section struct {
	heading string
	flags   []*pflag.Flag
}

// sections returns a command's flags by their headings, both in the order in which they were added.
func sections(cmd *cobra.Command) []section {
	var out []section
	at := map[string]int{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		heading := flags.Heading(f)
		if heading == "" {
			return // cobra's own
		}
		i, ok := at[heading]
		if !ok {
			i = len(out)
			at[heading] = i
			out = append(out, section{heading: heading})
		}
		out[i].flags = append(out[i].flags, f)
	})
	return out
}

// flagLines is a flag with what it means.
func flagLines(f *pflag.Flag) string {
	names, also := shownForms(f)
	left := "  " + strings.Join(names, ", ")
	if len(names) == 1 {
		left = "      " + names[0]
	}
	if value := flags.Value(f); value != "" {
		left += " " + value
	}
	if len(left) < helpColumn {
		left += strings.Repeat(" ", helpColumn-len(left))
	} else {
		left += "\n" + strings.Repeat(" ", helpColumn)
	}
	var lines []string
	for line := range strings.SplitSeq(flags.Usage(f)+also, "\n") {
		lines = append(lines, wrap(line, helpWidth-helpColumn, helpColumn))
	}
	return left + strings.Join(lines, "\n"+strings.Repeat(" ", helpColumn)) + "\n"
}

// shownForms returns the first short form of a flag and its long one, and the other forms as a remark behind its text.
func shownForms(f *pflag.Flag) (names []string, also string) {
	forms := flags.Forms(f)
	if n := len(forms); n > 2 {
		return []string{forms[0], forms[n-1]}, " (also " + strings.Join(forms[1:n-1], ", ") + ")"
	}
	return forms, ""
}

// words splits at spaces, but not within a default of one word.
func words(s string) []string {
	var out []string
	for _, word := range strings.Fields(s) {
		if n := len(out); n > 0 && out[n-1] == "(default:" && strings.HasSuffix(word, ")") {
			out[n-1] += " " + word
		} else {
			out = append(out, word)
		}
	}
	return out
}

// wrap breaks a line at spaces so that no part is longer than width; every part but the first is indented.
func wrap(s string, width, indent int) string {
	var b strings.Builder
	n := 0
	for i, word := range words(s) {
		switch {
		case i == 0:
		case n+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			n = 0
		default:
			b.WriteString(" ")
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}
