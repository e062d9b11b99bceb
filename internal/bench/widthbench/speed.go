package widthbench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/planfile"
)

// speed measures how much faster a pruned file is, against what its bytes and operations predict.
func speed(ctx context.Context, o options) error {
	pruned, err := o.prunedFile()
	if err != nil {
		return err
	}
	var loads [2]load
	for i, path := range []string{o.model, pruned} {
		f, err := gguf.Open(path)
		if err != nil {
			return err
		}
		loads[i], err = loadOf(f.Tensors(), measure.SpeedPrompt)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	a, b, err := measure.Speeds(ctx, o.spec(o.model), pruned, o.repeats)
	if err != nil {
		return err
	}
	// Generation reads all weights, and what the cache holds: half of the tokens on average.
	kv := [2]float64{float64(a.KVPer1k) / 1024 * measure.SpeedGenerate / 2, float64(b.KVPer1k) / 1024 * measure.SpeedGenerate / 2}
	generate := (loads[0].bytes + kv[0]) / (loads[1].bytes + kv[1])
	prompt := loads[0].products / loads[1].products
	var lines []string
	worst := 0.0
	for _, s := range []struct {
		name          string
		before, after compare.Rate
		ratio         compare.Rate
		predicted     float64
	}{{"prompt", a.Prompt, b.Prompt, b.PromptRatio, prompt}, {"generate", a.Generate, b.Generate, b.GenerateRatio, generate}} {
		off := 100 * (s.ratio.Mean/s.predicted - 1)
		if math.Abs(off) > math.Abs(worst) {
			worst = off
		}
		fmt.Printf("%s: %.2f -> %.2f tokens/s, x%.4f (+- %.4f over %d repeats), predicted x%.4f, off by %+.2f%%\n", s.name,
			s.before.Mean, s.after.Mean, s.ratio.Mean, s.ratio.StdDev, s.ratio.Repeats, s.predicted, off)
		lines = append(lines, fmt.Sprintf("figure width_%s_speed_%s %.4f", o.percent(), s.name, s.ratio.Mean))
	}
	lines = append(lines, fmt.Sprintf("figure width_%s_speed %.2f", o.percent(), worst))
	if path := cmp.Or(o.plan, o.run.plan); path != "" {
		p, err := planfile.Read(path)
		if err != nil {
			return err
		}
		predicted := p.Steps[len(p.Steps)-1].Speedup
		off := 100 * (b.GenerateRatio.Mean/predicted - 1)
		fmt.Printf("generate: by the blocks' times the plan predicts x%.4f, off by %+.2f%%\n", predicted, off)
		lines = append(lines, fmt.Sprintf("figure width_%s_speed_by_times %.2f", o.percent(), off))
	}
	fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	return nil
}

// load is what a token costs a model.
type load struct {
	bytes    float64 // of the weights that a generated token needs
	products float64 // multiplications of a token in a prompt
}

// loadOf counts the weights of a dense model. Of a prompt of so many tokens only the last one's logits are computed, and a token attends to
// half of the prompt on average.
func loadOf(tensors []gguf.Tensor, prompt int) (l load, err error) {
	const embedding, head = "token_embd.weight", "output.weight"
	tied := true
	for _, t := range tensors {
		tied = tied && t.Name != head
	}
	for _, t := range tensors {
		n := float64(t.Elements())
		switch {
		case len(t.Dims) > 2 && strings.Contains(t.Name, "_exps"):
			return l, fmt.Errorf("%s holds experts, of which a token needs some; speeds are predicted of dense models only", t.Name)
		case t.Name == embedding && !tied:
			continue // a row for each token
		case t.Name == embedding || t.Name == head:
			l.products += n / float64(prompt)
		case len(t.Dims) > 1:
			l.products += n
		}
		l.bytes += float64(t.Size)
		if strings.HasSuffix(t.Name, ".attn_output.weight") {
			// Scores, and the sum of the values: each as many products as the heads are wide, for each position in sight.
			l.products += 2 * float64(t.Dims[0]) * float64(prompt+1) / 2
		}
	}
	return l, nil
}
