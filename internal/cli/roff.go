package cli

import "strings"

// roff writes a page in the man macros.
type roff struct{ strings.Builder }

// paragraphs writes text whose paragraphs are parted by empty lines. Indented lines are a list: each item begins with its term, and
// two spaces or more before what is said of it.
func (m *roff) paragraphs(text string) {
	for i, p := range strings.Split(text, "\n\n") {
		switch {
		case strings.HasPrefix(p, "  "):
			m.list(p)
		case i > 0:
			m.macro("PP")
			fallthrough
		default:
			m.line(strings.Join(strings.Fields(p), " "))
		}
	}
}

func (m *roff) list(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if term, rest, ok := strings.Cut(strings.TrimPrefix(line, "  "), "  "); ok && term != "" {
			m.macro("TP")
			m.macro("B", term)
			line = rest
		}
		m.line(strings.TrimSpace(line))
	}
}

// examples writes command lines as they are typed, one a line.
func (m *roff) examples(text string) {
	m.macro("PP")
	m.line("Examples:")
	m.macro("PP")
	m.macro("nf")
	m.macro("RS", "4")
	for line := range strings.Lines(text) {
		m.line(strings.TrimSpace(line))
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
