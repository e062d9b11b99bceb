package compare

import (
	"context"

	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/progress"
)

// Ollama asks two models of the running Ollama the same; see ollama.Server.Compare.
func Ollama(ctx context.Context, original, pruned string, opt ollama.CompareOptions, sink progress.Sink) (*ollama.Comparison, error) {
	server, err := ollama.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !server.HasLogprobs() {
		sink.Warnf("Ollama %s gives no log-probabilities: only texts and speeds are compared; update it for more", server.Version)
	}
	bar := sink.Start("ask both models", int64(4*len(opt.Prompts)))
	defer bar.Stop()
	return server.Compare(ctx, original, pruned, opt, func(done int, note string) { bar.Set(int64(done), note) })
}
