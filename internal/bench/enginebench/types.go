package enginebench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// typed are the file types of which a search's passes are compared with those of F16.
var typed = []string{"Q8_0", "Q6_K", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_S", "Q4_1", "Q4_0", "Q3_K_S", "Q2_K", "IQ4_XS", "IQ4_NL"}

const typeRepeats = 3

// Children of the part.
const (
	plainPass  = "plain"
	searchPass = "searched"
)

// types compares a pass over a few layers of an 1B model in each type, as a search makes it, with one in F16: of CPU seconds, the median of
// some. Where the search takes a copy in F16, the pass as it would be without one is measured, too.
func (b *bench) types(ctx context.Context) error {
	shape := randmodel.Llama1B
	shape.Layers, shape.Vocab = 3, 4096
	first := filepath.Join(b.dir, "types-Q8_0.gguf")
	if err := randmodel.Write(ctx, first, shape, 1); err != nil {
		return err
	}
	text := filepath.Join(b.dir, "noise.txt")
	if err := os.WriteFile(text, []byte(randmodel.Text(20000, 2)), 0o600); err != nil {
		return err
	}
	f16, err := b.convert(ctx, first, "F16")
	if err != nil {
		return err
	}
	var lines []string
	for _, name := range typed {
		model, err := b.convert(ctx, first, name)
		if err != nil {
			return err
		}
		var searched, plain []float64
		copied := false
		for range typeRepeats {
			base, _, err := b.passOf(ctx, plainPass, f16, text)
			if err != nil {
				return err
			}
			own, _, err := b.passOf(ctx, plainPass, model, text)
			if err != nil {
				return err
			}
			fast := own
			if fast, copied, err = b.passOf(ctx, searchPass, model, text); err != nil {
				return err
			}
			searched, plain = append(searched, base/fast), append(plain, base/own)
		}
		how := "as it is"
		if copied {
			how = "on a copy in F16"
		}
		fmt.Printf("%-7s %.2f of F16's speed, searched %s: %.2f\n", name, measure.Median(plain), how, measure.Median(searched))
		lines = append(lines, fmt.Sprintf("figure pass_vs_f16_ratio_%s %.3f", strings.ToLower(name), measure.Median(searched)))
		if err := os.Remove(model); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	return nil
}

// convert quantises the random model.
func (b *bench) convert(ctx context.Context, from, name string) (string, error) {
	typ, err := llamabind.ParseFileType(name)
	if err != nil {
		return "", err
	}
	out := filepath.Join(b.dir, "type-"+name+".gguf")
	p := engine.QuantizeParams{Type: typ, Threads: b.threads, AllowRequantize: true, Pure: true}
	return out, (llamabind.Runtime{}).Quantize(ctx, from, out, p, nil)
}

// passOf is what one pass takes in CPU seconds, in a process of its own, and whether that was on a copy.
func (b *bench) passOf(ctx context.Context, how, model, text string) (cpu float64, copied bool, err error) {
	u, err := b.self(ctx, how, model, text, 4)
	if err != nil {
		return 0, false, err
	}
	if _, err := fmt.Sscan(u.out, &cpu, &copied); err != nil {
		return 0, false, fmt.Errorf("a pass printed %q: %w", u.out, err)
	}
	return cpu, copied, nil
}

// typeChild prints the CPU seconds of n windows and whether they ran on a copy.
func typeChild(ctx context.Context, how, model, text string, n, threads int) error {
	src, err := source.Open(ctx, source.Spec{
		Engine: llamabind.Runtime{}, Path: model, Threads: threads, FlashAttn: "auto", Model: engine.ModelParams{NGPULayers: 0},
	})
	if err != nil {
		return err
	}
	defer src.Close()
	copied := false
	if how == searchPass {
		twin, err := retype.ForSearch(src).Load(ctx, src, model, progress.Silent{})
		if err != nil {
			return err
		}
		copied = twin != nil
	}
	session, err := src.Session(ctx, 1, window)
	if err != nil {
		return err
	}
	defer session.Close()
	corpus, err := perplexity.ReadFile(text, perplexity.Plain)
	if err != nil {
		return err
	}
	set, err := perplexity.NewSet(perplexity.Windows, corpus, src.Model, perplexity.SetOptions{Context: window, Max: n + 1})
	if err != nil {
		return err
	}
	var cpus []float64
	for i := range set.Sequences {
		start := machine.CPUSeconds()
		if err := session.Eval(ctx, set.Sequences[i:i+1], nil, nil, ignore); err != nil {
			return err
		}
		if i > 0 { // the first warms up
			cpus = append(cpus, machine.CPUSeconds()-start)
		}
	}
	fmt.Println(strconv.FormatFloat(slices.Min(cpus), 'g', 6, 64), copied)
	return nil
}
