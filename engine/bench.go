package engine

import (
	"context"
	"time"
)

// BenchParams sizes the context of a [Bench].
type BenchParams struct {
	Context       int // tokens
	Batch, UBatch int // most tokens of a decode, and of one graph
	Threads       int
	FlashAttn     string
}

// Bench is a stock context on which speed is measured, as llama-bench does it: random tokens from an empty memory, one
// sequence. One goroutine at a time uses it; it is closed before its model.
type Bench interface {
	// Prompt returns how long n tokens in batches take, of which the last one's logits are computed: llama-bench's pp.
	Prompt(ctx context.Context, n int) (time.Duration, error)
	// Generate returns how long n tokens take one after the other: llama-bench's tg.
	Generate(ctx context.Context, n int) (time.Duration, error)
	// MemoryBytes is the size of the context's memory, on all devices: KV cache, and recurrent states where the model has them.
	MemoryBytes() int64
	Close()
}
