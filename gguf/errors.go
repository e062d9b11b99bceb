package gguf

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// What can be wrong with a file, for errors.Is. The error that is returned is one line with the details and the next step.
var (
	ErrNotGGUF      = errors.New("not a GGUF file")
	ErrBigEndian    = errors.New("big-endian GGUF file")
	ErrVersion      = errors.New("unsupported GGUF version")
	ErrTruncated    = errors.New("truncated GGUF file")
	ErrMissingShard = errors.New("missing shard")
	ErrMalformed    = errors.New("malformed GGUF file")
)

// What can be wrong with an output: the errors of package outfile.
var (
	ErrExists   = outfile.ErrExists
	ErrIsInput  = outfile.ErrIsInput
	ErrNoSpace  = outfile.ErrNoSpace
	ErrReadOnly = outfile.ErrReadOnly
)

// malformed makes an ErrMalformed with the details.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// quote shows a string that came out of a file: quoted, hence on one line, and never long.
func quote(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(s[:cut]), len(s))
}
