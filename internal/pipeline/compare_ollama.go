package pipeline

import (
	"context"

	"github.com/ggufprune/ggufprune/internal/ollama"
)

// CompareOllama asks two models of the running Ollama the same; see ollama.Server.Compare.
func CompareOllama(ctx context.Context, original, pruned string, opt ollama.CompareOptions, rep Reporter) (*ollama.Comparison, error) {
	server, err := ollama.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !server.HasLogprobs() {
		rep.Warnf("Ollama %s gives no log-probabilities: only texts and speeds are compared; update it for more", server.Version)
	}
	progress := rep.Start("ask both models", int64(4*len(opt.Prompts)))
	defer progress.Stop()
	return server.Compare(ctx, original, pruned, opt, func(done int, note string) { progress.Set(int64(done), note) })
}
