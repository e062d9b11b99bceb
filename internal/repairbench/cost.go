package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/repair"
)

var shapes = []randmodel.Shape{randmodel.Qwen05B, randmodel.Llama1B}

// big is what is projected to: nobody can run it here.
var big = randmodel.Shape{Name: "Llama-3.1-8B shape", Layers: 32, Embd: 4096, Heads: 32, KVHeads: 8, FFN: 14336}

// costTokens are the positions of a repair whose cost is measured.
const costTokens = 4096

// costs measures what a repair costs on models of practical shapes, each in a process of its own for the sake of its peak memory.
func (r *rig) costs(ctx context.Context) error {
	for i := range shapes {
		cmd := exec.CommandContext(ctx, os.Args[0], "-parts", "costof", "-shape", fmt.Sprint(i), "-t", fmt.Sprint(r.threads))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

// spent is CPU seconds by what they go for.
type spent struct{ blocks, products, encoding float64 }

// timed is an engine with its weights, whose work is counted.
type timed struct {
	repair.Engine
	repair.Weights
	spent *spent
}

func count(to *float64) func() {
	from := cpuSeconds()
	return func() { *to += cpuSeconds() - from }
}

func (t timed) Segment(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*repair.Tap) ([]float32, error) {
	defer count(&t.spent.blocks)()
	return t.Engine.Segment(ctx, batch, removed, start, stop, in, taps...)
}

func (t timed) Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error {
	defer count(&t.spent.products)()
	return t.Engine.Product(ctx, weight, n, a, b, acc)
}

func (t timed) Encode(p *repair.Projection, weights, importance []float32) ([]byte, error) {
	defer count(&t.spent.encoding)()
	return t.Weights.Encode(p, weights, importance)
}

// costOf repairs the last blocks of a random model, and projects what that costs.
func (r *rig) costOf(ctx context.Context) error {
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
	fit, held, err := repair.Batches(o.model, r.texts(), r.window, costTokens, batchSeqs, 1)
	if err != nil {
		return err
	}
	runtime.GC()
	before := peakMiB()
	var s spent
	cpu := cpuSeconds()
	t := timed{o.session, o.weights, &s}
	res, err := repair.Run(ctx, t, t, repair.Request{Removed: blockmask.New(blockmask.Block{Layer: shape.Layers - 3, Kind: blockmask.FFN}), Method: repair.Auto, Fit: fit, Held: held})
	if err != nil {
		return err
	}
	cpu = cpuSeconds() - cpu
	solving := cpu - s.blocks - s.products - s.encoding
	fmt.Printf("%s, Q8_0, %d tokens, %d blocks: %.1f CPU s (%.2f ms a token and block): blocks %.1f, normal equations %.1f, solves and rows %.1f, encoding %.1f; peak memory +%.0f MiB\n",
		shape.Name, res.Positions, len(res.Blocks), cpu, 1000*cpu/float64(res.Positions*len(res.Blocks)), s.blocks, s.products, solving, s.encoding, peakMiB()-before)
	for _, b := range res.Blocks {
		fmt.Printf("  %s %s lambda %g %s\n", b.Block, b.Method, b.Lambda, b.Skipped)
	}
	product, double, err := peaks(ctx, o.session)
	if err != nil {
		return err
	}
	var mults float64
	for _, b := range res.Blocks {
		mults += normalMults(shape, b.Block.Kind) * float64(res.Positions)
	}
	rate := 2 * mults / s.products / 1e9
	fmt.Printf("  normal equations run at %.1f GFLOP/s of CPU time; the machine's peak in the same kernel, 2048 x 2048 x 4096, is %.1f, gonum's in double %.1f\n", rate, product, double)
	r.project(shape, res, s, solving)
	return nil
}

// project scales the parts of the cost to the big shape, by the multiplications that they take. The paths of a token through the head are
// left out of both.
func (r *rig) project(shape randmodel.Shape, res *repair.Result, s spent, solving float64) {
	blocks := func(s randmodel.Shape, k blockmask.Kind) float64 {
		d := float64(s.Embd)
		if k == blockmask.FFN {
			return 3 * d * float64(s.FFN)
		}
		return 2*d*d + 2*d*d*float64(s.KVHeads)/float64(s.Heads)
	}
	solve := func(s randmodel.Shape, k blockmask.Kind) float64 {
		n := float64(features(s, k))
		return n*n*n/3 + 2*n*n*float64(s.Embd)
	}
	var here, hereNormal, hereSolve float64
	for _, b := range res.Blocks {
		here += blocks(shape, b.Block.Kind)
		hereNormal += normalMults(shape, b.Block.Kind)
		hereSolve += solve(shape, b.Block.Kind)
	}
	const kept = 40 // of 64 blocks, where a quarter was removed from the second half of the model
	tokens := float64(pipeline.DefaultRepairTokens) / float64(res.Positions)
	var there, thereNormal, thereSolve float64
	for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
		there += kept / 2 * blocks(big, k)
		thereNormal += kept / 2 * normalMults(big, k)
		thereSolve += kept / 2 * solve(big, k)
	}
	a, b, c := s.blocks*there/here*tokens, s.products*thereNormal/hereNormal*tokens, solving*thereSolve/hereSolve
	fmt.Printf("  projected to the %s, %d tokens, %d blocks: %.1f CPU hours (blocks %.1f, normal equations %.1f, solves %.1f)\n", big.Name,
		pipeline.DefaultRepairTokens, kept, (a+b+c)/3600, a/3600, b/3600, c/3600)
}

// features are what a block of a shape is fitted with.
func features(s randmodel.Shape, k blockmask.Kind) int {
	if k == blockmask.FFN && s.FFN <= repair.MaxFull {
		return s.FFN
	}
	return s.Embd
}

// normalMults are the multiplications of the normal equations for each position.
func normalMults(s randmodel.Shape, k blockmask.Kind) float64 {
	n := float64(features(s, k))
	return n*n + n*float64(s.Embd)
}

// peaks are GFLOP/s of CPU time: of the engine's product, and of gonum's in double precision.
func peaks(ctx context.Context, e repair.Engine) (single, double float64, err error) {
	const n, k = 4096, 2048
	a := make([]float32, n*k)
	for i := range a {
		a[i] = float32(i%97) / 97
	}
	acc := make([]float64, k*k)
	cpu := cpuSeconds()
	if err := e.Product(ctx, "", n, a, a, acc); err != nil {
		return 0, 0, err
	}
	single = 2 * n * k * k / (cpuSeconds() - cpu) / 1e9
	m := mat.NewDense(1024, 1024, acc[:1024*1024])
	var out mat.Dense
	cpu = cpuSeconds()
	out.Mul(m, m)
	return single, 2 * 1024 * 1024 * 1024 / (cpuSeconds() - cpu) / 1e9, nil
}

// peakMiB is the peak memory of this process, on Linux.
func peakMiB() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
