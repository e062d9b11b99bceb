package ui

import (
	"strconv"
	"strings"
	"unicode"
)

// Plain shows characters that would steer the terminal, or turn the direction of the text, as Go writes them: names and descriptions
// come from files that others have made. Line ends and tabs stay.
func Plain(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func steers(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}

// plainCells does so with the cells of a row that are text.
func plainCells(row []any) []any {
	out := make([]any, len(row))
	for i, c := range row {
		if s, ok := c.(string); ok {
			c = Plain(strings.ReplaceAll(s, "\n", " "))
		}
		out[i] = c
	}
	return out
}
