package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK},
		{errors.New("disk"), ExitFailure},
		{flags.Errorf("flag"), ExitUsage},
		{&layout.RefusedError{}, ExitUnsupported},
		{&source.UnsupportedError{Text: "encoder"}, ExitUnsupported},
		{&engine.Error{Code: engine.UnsupportedArch}, ExitUnsupported},
		{&engine.Error{Code: engine.OOM}, ExitFailure},
		{&engine.Error{Code: engine.Cancelled}, ExitInterrupted},
		{&write.CheckError{Path: "x.gguf", Text: "differs"}, ExitCheckFailed},
		{context.Canceled, ExitInterrupted},
		{errors.Join(context.Canceled, errors.New("plan not saved")), ExitInterrupted},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("ExitCode(%v) = %d, want %d", c.err, got, c.want)
		}
		if c.err == nil {
			continue
		}
		if got := ExitCode(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("ExitCode of %v, wrapped, = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestMessageIsOneLine(t *testing.T) {
	t.Parallel()
	if got := Message(errors.New("first\nsecond\r\n\tthird")); got != "first second third" {
		t.Errorf("message %q", got)
	}
	if got := Message(&write.CheckError{Path: "x.gguf", Text: "differs"}); strings.Contains(got, "\n") || !strings.Contains(got, "x.gguf") {
		t.Errorf("message %q", got)
	}
	if got := Message(fmt.Errorf("decode: %w", context.Canceled)); got != "interrupted" {
		t.Errorf("message %q", got)
	}
}
