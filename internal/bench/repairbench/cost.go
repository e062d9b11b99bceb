package repairbench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/perplexity"
)

var shapes = []randmodel.Shape{randmodel.Qwen05B, randmodel.Llama1B}

// big is what is projected to: nobody can run it here.
var big = randmodel.Shape{Name: "Llama-3.1-8B shape", Layers: 32, Embd: 4096, Heads: 32, KVHeads: 8, FFN: 14336}

// costTokens are the positions of a repair whose cost is measured.
const costTokens = 2048

// costs measures what a repair costs on models of practical shapes, each in a process of its own for the sake of its peak memory.
func costs(ctx context.Context, r *rig) error {
	for i := range shapes {
		cmd := exec.CommandContext(ctx, os.Args[0], "repair", "-parts", "costof", "-shape", fmt.Sprint(i), "-t", fmt.Sprint(r.threads))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

// spent is CPU seconds by what they go for, and the multiplications in the blocks.
type spent struct{ blocks, heads, products, encoding, mults float64 }

// timed is an engine with its weights, whose work is counted.
type timed struct {
	engine.BlockRunner
	fit.Weights
	shape randmodel.Shape
	spent *spent
}

func count(to *float64) func() {
	from := machine.CPUSeconds()
	return func() { *to += machine.CPUSeconds() - from }
}

func (t timed) Segment(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*engine.Tap) ([]float32, error) {
	defer count(&t.spent.blocks)()
	for _, b := range t.Blocks()[max(start, 0):stop] {
		if !removed.Has(b) {
			t.spent.mults += blockMults(t.shape, b.Kind) * float64(len(batch)*len(batch[0].Tokens))
		}
	}
	return t.BlockRunner.Segment(ctx, batch, removed, start, stop, in, taps...)
}

func (t timed) EvalFrom(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, start int, in []float32) ([][]float64, error) {
	defer count(&t.spent.heads)()
	return t.BlockRunner.EvalFrom(ctx, batch, removed, start, in)
}

func (t timed) Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error {
	defer count(&t.spent.products)()
	return t.BlockRunner.Product(ctx, weight, n, a, b, acc)
}

func (t timed) Encode(p *fit.Projection, weights, importance []float32) ([]byte, error) {
	defer count(&t.spent.encoding)()
	return t.Weights.Encode(p, weights, importance)
}

// costOf repairs the last blocks of a random model, and projects what that costs.
func costOf(ctx context.Context, r *rig) error {
	shape := shapes[r.shape]
	dir, err := os.MkdirTemp("", "ggufprune-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model-Q8_0.gguf")
	if err := randmodel.Write(ctx, path, shape, 1); err != nil {
		return err
	}
	r.calib = &perplexity.Corpus{Name: "noise", Documents: []string{randmodel.Text(3*costTokens, 2)}, Continuous: true}
	r.heldOut, r.judge = r.calib, 4
	o, err := r.open(ctx, path)
	if err != nil {
		return err
	}
	defer o.close()
	fitted, held, err := fit.Batches(o.model, r.texts(), r.window, costTokens, batchSeqs, 1)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	before := restartPeak()
	var s spent
	cpu := machine.CPUSeconds()
	t := timed{o.session, o.weights, shape, &s}
	res, err := fit.Run(ctx, t, t, fit.Request{Removed: blockmask.New(blockmask.Block{Layer: shape.Layers - 3, Kind: blockmask.FFN}), Method: fit.Auto, Fit: fitted, Held: held})
	if err != nil {
		return err
	}
	cpu = machine.CPUSeconds() - cpu
	rest := cpu - s.blocks - s.heads - s.products - s.encoding
	fmt.Printf("%s, Q8_0, %d tokens, %d blocks: %.1f CPU s: blocks %.1f, head %.1f, products %.1f, the rest (gonum, rows) %.1f, encoding %.1f; peak memory +%.0f MiB\n",
		shape.Name, res.Positions, len(res.Blocks), cpu, s.blocks, s.heads, s.products, rest, s.encoding, peakMiB()-before)
	for _, b := range res.Blocks {
		fmt.Printf("  %s %s lambda %g %s\n", b.Block, b.Method, b.Lambda, b.Skipped)
	}
	product, double, err := peaks(ctx, o.session)
	if err != nil {
		return err
	}
	fmt.Printf("  blocks run at %.1f GFLOP/s of CPU time; products, 2048 x 2048 x 4096, at %.1f; gonum's, in double, at %.1f\n", 2*s.mults/s.blocks/1e9, product, double)
	project(shape, res, s, rest)
	return nil
}

// usualTokens are the positions of a repair that docs/BENCHMARKS.md has figures of.
const usualTokens = 65536

// project scales the parts of the cost to the big shape, by the multiplications that they take.
func project(shape randmodel.Shape, res *fit.Result, s spent, rest float64) {
	const kept, before = 40, 16 // blocks that are repaired, and whole ones before the first gap: a quarter of 64 went, behind a quarter
	tokens := float64(usualTokens)
	var there, hereProducts, thereProducts float64
	for _, b := range res.Blocks {
		hereProducts += productMults(shape, b.Block.Kind, float64(res.Positions))
	}
	for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
		// The stream up to the gap once; then each block on the unpruned stream, on the pruned one, and repaired, the held quarter twice.
		there += blockMults(big, k) * tokens * (before/2 + kept/2*3.25)
		thereProducts += kept / 2 * productMults(big, k, tokens)
	}
	blocks, products := s.blocks*there/s.mults, s.products*thereProducts/hereProducts
	heads := s.heads * tokens / float64(res.Positions) * float64(big.Embd) / float64(shape.Embd)
	others := rest * tokens / float64(res.Positions) * kept / float64(len(res.Blocks)) * float64(big.Embd) / float64(shape.Embd)
	fmt.Printf("  projected to the %s, %.0f tokens, %d of 64 blocks: %.1f CPU hours (blocks %.1f, head %.1f, products %.1f, the rest %.1f)\n", big.Name,
		tokens, kept, (blocks+heads+products+others)/3600, blocks/3600, heads/3600, products/3600, others/3600)
}

// blockMults are the multiplications of a block with its weights, for each position.
func blockMults(s randmodel.Shape, k blockmask.Kind) float64 {
	d := float64(s.Embd)
	if k == blockmask.FFN {
		return 3 * d * float64(s.FFN)
	}
	return 2*d*d + 2*d*d*float64(s.KVHeads)/float64(s.Heads)
}

// productMults are those of a fit: the normal equations, and four solves with their losses.
func productMults(s randmodel.Shape, k blockmask.Kind, positions float64) float64 {
	n, d := float64(features(s, k)), float64(s.Embd)
	return (n*n+n*d)*positions + 4*(n*n*n/3+3*n*n*d)
}

// features are what a block of a shape is fitted with.
func features(s randmodel.Shape, k blockmask.Kind) int {
	if k == blockmask.FFN && s.FFN <= fit.MaxFull {
		return s.FFN
	}
	return s.Embd
}

// peaks are GFLOP/s of CPU time: of the engine's product, and of gonum's in double precision.
func peaks(ctx context.Context, e engine.BlockRunner) (single, double float64, err error) {
	const n, k = 4096, 2048
	a := make([]float32, n*k)
	for i := range a {
		a[i] = float32(i%97) / 97
	}
	acc := make([]float64, k*k)
	cpu := machine.CPUSeconds()
	if err := e.Product(ctx, "", n, a, a, acc); err != nil {
		return 0, 0, err
	}
	single = 2 * n * k * k / (machine.CPUSeconds() - cpu) / 1e9
	m := mat.NewDense(1024, 1024, acc[:1024*1024])
	var out mat.Dense
	cpu = machine.CPUSeconds()
	out.Mul(m, m)
	return single, 2 * 1024 * 1024 * 1024 / (machine.CPUSeconds() - cpu) / 1e9, nil
}

// restartPeak lets the peak memory of this process begin anew, and returns what it has now, in MiB. Linux only: elsewhere the peak is that
// of loading the model, too.
func restartPeak() float64 {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	return peakMiB()
}

// peakMiB is the peak memory of this process.
func peakMiB() float64 {
	data, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(data), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err == nil {
		return kib / 1024
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
