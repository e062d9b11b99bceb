package cli

import (
	"regexp"
	"strings"
)

// page is a command's usage text taken apart. Completions and the man page are made from it, so that the text that people read
// in the terminal is the only one.
type page struct {
	synopsis string   // after "Usage: "
	about    []string // paragraphs
	examples []string // command lines
	sections []flagSection
}

// flagSection is some flags under a heading.
type flagSection struct {
	heading string // without the colon
	flags   []flagText
	notes   []string // lines that are not of a flag
}

// flagText is what the usage says of a flag.
type flagText struct {
	short, long string // with their dashes; short may be ""
	value       string // the placeholder, "" for none
	text        string
}

var flagLine = regexp.MustCompile(`^ {2,6}(?:(-[a-z]+), )?(--[a-z][a-z-]*)(?: (\S+))?(?: {2,}(.*))?$`)

// readUsage takes a usage text apart.
func readUsage(text string) page {
	head, rest, _ := strings.Cut(strings.TrimRight(text, "\n"), "\n\n")
	p := page{synopsis: strings.TrimPrefix(head, "Usage: ")}
	for part := range strings.SplitSeq(rest, "\n\n") {
		lines := strings.Split(strings.Trim(part, "\n"), "\n")
		switch {
		case lines[0] == "Examples:":
			for _, l := range lines[1:] {
				p.examples = append(p.examples, strings.TrimSpace(l))
			}
		case len(lines) > 1 && strings.HasSuffix(lines[0], ":") && strings.HasPrefix(lines[1], "  "):
			p.sections = append(p.sections, readSection(lines))
		default:
			p.about = append(p.about, strings.Join(lines, " "))
		}
	}
	return p
}

func readSection(lines []string) flagSection {
	s := flagSection{heading: strings.TrimSuffix(lines[0], ":")}
	for _, l := range lines[1:] {
		m := flagLine.FindStringSubmatch(l)
		switch {
		case m != nil:
			s.flags = append(s.flags, flagText{short: m[1], long: m[2], value: m[3], text: m[4]})
		case len(s.flags) == 0:
			s.notes = append(s.notes, strings.TrimSpace(l))
		default:
			f := &s.flags[len(s.flags)-1]
			f.text = strings.TrimSpace(f.text + " " + strings.TrimSpace(l))
		}
	}
	return s
}

// flags returns what the page says of each flag, by its long name without dashes.
func (p page) flags() map[string]flagText {
	out := map[string]flagText{}
	for _, s := range p.sections {
		for _, f := range s.flags {
			out[strings.TrimPrefix(f.long, "--")] = f
		}
	}
	return out
}
