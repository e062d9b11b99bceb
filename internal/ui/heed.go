package ui

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// noPre is what llama.cpp logs of a file that was converted before May 2024, when tokenizer.ggml.pre came.
const noPre = "missing pre-tokenizer type"

// heed is a handler for the engine's messages that makes a warning of the one that says that all numbers will be wrong.
type heed struct {
	slog.Handler
	u    *UI
	once *sync.Once
}

func (h *heed) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.Handler.Enabled(ctx, level)
}

func (h *heed) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && strings.Contains(r.Message, noPre) {
		h.once.Do(func() {
			h.u.Warnf("the file does not say how its tokenizer splits text (tokenizer.ggml.pre), so llama.cpp guesses, and the model " +
				"reads worse than it could; convert it again with a current llama.cpp")
		})
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}
