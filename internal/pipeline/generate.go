package pipeline

import "context"

// Generate loads the model at path and continues prompt greedily by up to n tokens.
func Generate(ctx context.Context, r Runtime, path, prompt string, n int) (string, error) {
	m, err := r.load(ctx, path)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return m.Generate(ctx, prompt, n, r.Threads)
}
