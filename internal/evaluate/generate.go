package evaluate

import (
	"context"

	"github.com/ggufprune/ggufprune/internal/source"
)

// Generate loads the model at path and continues prompt greedily by up to n tokens.
func Generate(ctx context.Context, s source.Spec, path, prompt string, n int) (string, error) {
	m, err := s.Load(ctx, path)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return m.Generate(ctx, prompt, n, s.Threads)
}
