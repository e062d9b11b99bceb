package measure

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// What speeds are measured with: llama-bench's pp512 and tg128.
const (
	SpeedPrompt   = 512
	SpeedGenerate = 128
)

// Of the text that a comparison also runs on: as little as may be.
const (
	speedWindow  = 128
	speedWindows = 2
)

// Speeds times the model of spec and another file in turns, and returns what both took. The latter has the ratios.
func Speeds(ctx context.Context, spec source.Spec, file string, repeats int) (original, other *compare.Speed, err error) {
	c, err := compare.Run(ctx, compare.Job{
		Spec: spec, Models: []compare.Contender{{Label: "original", Path: spec.Path}, {Label: compare.Pruned, Path: file}},
		Text:   corpus.Text{Convention: perplexity.Windows, Context: speedWindow, Batch: Batch, Max: speedWindows},
		UBatch: UBatch, Rival: compare.RivalOff,
		Speed: &compare.SpeedTest{Prompt: SpeedPrompt, Generate: SpeedGenerate, Repeats: repeats},
	}, Warnings{})
	if err != nil {
		return nil, nil, err
	}
	original, other = c.Rows[0].Speed, c.Rows[1].Speed
	if original == nil || other == nil {
		return nil, nil, fmt.Errorf("the speeds of %s and %s were not measured", spec.Path, file)
	}
	return original, other, nil
}

// ContextBytes is what the memory of a context of so many tokens takes: KV cache, and recurrent states.
func ContextBytes(ctx context.Context, spec source.Spec, file string, tokens int) (int64, error) {
	m, err := spec.Load(ctx, file)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	b, err := m.NewBench(engine.BenchParams{
		Context: tokens, Batch: min(Batch, tokens), UBatch: min(UBatch, tokens), Threads: spec.Threads, FlashAttn: spec.FlashAttn,
	})
	if err != nil {
		return 0, err
	}
	defer b.Close()
	return b.MemoryBytes(), nil
}
