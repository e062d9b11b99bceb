package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// archsFloor is the number of architectures that passed when this was committed; fewer is a failure.
const archsFloor = 144

// The batch of the sweep: longer than the sliding windows (32) and chunks of recurrent states in the fixtures.
const (
	sweepSeqs = 2
	sweepLen  = 56
)

// archs compares, for every model in dir, the edited graph with an independent route: a copy of the file whose output
// projections are zeroed, run by an unedited llama.cpp. It also compares candidates from a boundary with full masked passes.
func archs(ctx context.Context, dir, filter string, noRepack bool) error {
	tmp, err := os.MkdirTemp("", "ggufprune-archs-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	models, err := fixtures(ctx, dir, filter, tmp)
	if err != nil {
		return err
	}
	ok, total, refused := 0, 0, 0
	for _, m := range models {
		name := m.name
		total++
		masks, err := sweepArch(ctx, m.path, filepath.Join(tmp, "zeroed.gguf"), engine.ModelParams{NoRepack: noRepack})
		var e *engine.Error
		switch {
		case err == nil:
			ok++
			fmt.Printf("%-24s ok           %2d masks, max abs diff 0\n", name, masks)
		case errors.As(err, &e) && e.Code == engine.UnsupportedArch:
			refused++
			fmt.Printf("%-24s unsupported  %s\n", name, e.Text)
		case errors.As(err, &e) && e.Code == engine.LoadFailed:
			refused++
			fmt.Printf("%-24s not loaded   %s\n", name, e.Text)
		default:
			fmt.Printf("%-24s WRONG        %v\n", name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("figure archs_ok %d\nfigure archs_total %d\n", ok, total)
	if ok+refused < total {
		return fmt.Errorf("%d architectures give other numbers than their zeroed files", total-ok-refused)
	}
	if filter == "" && ok < archsFloor {
		return fmt.Errorf("only %d architectures pass, %d did before", ok, archsFloor)
	}
	return nil
}

// sweepArch checks one model: every single block, three random masks, all blocks. It returns the number of masks.
func sweepArch(ctx context.Context, path, scratch string, p engine.ModelParams) (int, error) {
	m, err := llamabind.LoadModel(ctx, path, p)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: sweepSeqs, SeqLen: sweepLen})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	blocks := s.Blocks()
	rng := rand.New(rand.NewPCG(1, uint64(len(blocks))))
	batch := randomBatch(rng, m.Info().NVocab)
	masks := sweepMasks(rng, blocks)

	z, err := newZeroed(path, scratch, s)
	if err != nil {
		return 0, err
	}
	z.params.NoRepack = p.NoRepack
	defer z.close()
	for _, mask := range masks {
		want, err := z.logits(ctx, mask, batch)
		if err != nil {
			return 0, fmt.Errorf("zeroed %s: %w", mask, err)
		}
		got, err := collectLogits(ctx, s, batch, mask)
		if err != nil {
			return 0, fmt.Errorf("masked %s: %w", mask, err)
		}
		if d := maxAbsDiff(want, got); d != 0 {
			return 0, fmt.Errorf("%s: max abs diff %g", mask, d)
		}
	}
	return len(masks), checkBoundaries(ctx, s, rng, batch)
}

// sweepMasks returns every single block, three random masks and the mask of all blocks.
func sweepMasks(rng *rand.Rand, blocks []blockmask.Block) []blockmask.Mask {
	var masks []blockmask.Mask
	for _, b := range blocks {
		masks = append(masks, blockmask.New(b))
	}
	for range 3 {
		masks = append(masks, randomMask(rng, blocks))
	}
	return append(masks, blockmask.New(blocks...))
}

func randomMask(rng *rand.Rand, blocks []blockmask.Block) blockmask.Mask {
	m := blockmask.New()
	for m.Len() == 0 || m.Len() == len(blocks) {
		m = blockmask.New()
		for _, b := range blocks {
			if rng.IntN(2) == 0 {
				m = m.With(b)
			}
		}
	}
	return m
}

func randomBatch(rng *rand.Rand, vocab int) []engine.Sequence {
	batch := make([]engine.Sequence, sweepSeqs)
	for i := range batch {
		for range sweepLen {
			batch[i].Tokens = append(batch[i].Tokens, engine.Token(rng.IntN(vocab)))
			batch[i].Targets = append(batch[i].Targets, engine.Token(rng.IntN(vocab)))
		}
	}
	return batch
}

// checkBoundaries holds candidates that start at a captured boundary equal to full passes, bit for bit, with nothing and with
// a random mask removed before.
func checkBoundaries(ctx context.Context, s *llamabind.Session, rng *rand.Rand, batch []engine.Sequence) error {
	for _, removed := range []blockmask.Mask{blockmask.New(), randomMask(rng, s.Blocks())} {
		var cands []blockmask.Mask
		for _, b := range s.Blocks() {
			if !removed.Has(b) {
				cands = append(cands, blockmask.New(b))
			}
		}
		var fast [][][]float64
		err := s.Eval(ctx, batch, removed, cands, func(i int, nll [][]float64) error {
			if i >= 0 {
				fast = append(fast, clone(nll))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("from boundaries, %q removed: %w", removed, err)
		}
		for i, c := range cands {
			err := s.Eval(ctx, batch, removed.Union(c), nil, func(_ int, full [][]float64) error {
				if !sameBits(full, fast[i]) {
					return fmt.Errorf("%s from its boundary, %q removed: other numbers than a full pass", c, removed)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func clone(a [][]float64) [][]float64 {
	out := make([][]float64, len(a))
	for i := range a {
		out[i] = append([]float64(nil), a[i]...)
	}
	return out
}

func sameBits(a, b [][]float64) bool {
	for i := range a {
		for j := range a[i] {
			if math.Float64bits(a[i][j]) != math.Float64bits(b[i][j]) {
				return false
			}
		}
	}
	return len(a) == len(b)
}

// maxAbsDiff is +Inf where one side is NaN and the other is not.
func maxAbsDiff(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		if math.Float32bits(a[i]) == math.Float32bits(b[i]) {
			continue
		}
		x := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(x) {
			return math.Inf(1)
		}
		d = max(d, x)
	}
	return d
}

func collectLogits(ctx context.Context, s *llamabind.Session, batch []engine.Sequence, removed blockmask.Mask) ([]float32, error) {
	var out []float32
	err := s.Logits(ctx, batch, removed, func(_, _ int, l []float32) error {
		out = append(out, l...)
		return nil
	})
	return out, err
}
