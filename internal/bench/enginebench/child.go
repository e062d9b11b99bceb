package enginebench

import (
	"context"
	"fmt"
	"os"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// runChild makes one measurement in a process of its own.
func runChild(ctx context.Context, what, model, text string, n, threads int) error {
	if what == plainPass || what == searchPass {
		return typeChild(ctx, what, model, text, n, threads)
	}
	m, err := llamabind.LoadModel(ctx, model, engine.ModelParams{})
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: 1, SeqLen: window, Threads: threads})
	if err != nil {
		return err
	}
	defer s.Close()
	corpus, err := perplexity.ReadFile(text, perplexity.Plain)
	if err != nil {
		return err
	}
	set, err := perplexity.NewSet(perplexity.Windows, corpus, m, perplexity.SetOptions{Context: window, Max: n})
	if err != nil {
		return err
	}
	switch what {
	case "pass":
		return pass(ctx, s, set.Sequences)
	case "memory":
		return iterate(ctx, s, set.Sequences[:1], 2)
	case "iteration":
		return iteration(ctx, s, set.Sequences[:1])
	}
	return fmt.Errorf("unknown child %q", what)
}

func ignore(int, [][]float64) error { return nil }

func pass(ctx context.Context, s *llamabind.Session, windows []engine.Sequence) error {
	for i := range windows {
		if err := s.Eval(ctx, windows[i:i+1], nil, nil, ignore); err != nil {
			return err
		}
	}
	return nil
}

// iterate is one search step that stops after n candidates; the base pass captures the boundaries of all.
func iterate(ctx context.Context, s *llamabind.Session, batch []engine.Sequence, n int) error {
	stop := fmt.Errorf("enough")
	err := s.Eval(ctx, batch, nil, single(s), func(i int, _ [][]float64) error {
		if i+1 >= n {
			return stop
		}
		return nil
	})
	if err == stop {
		return nil
	}
	return err
}

func single(s *llamabind.Session) []blockmask.Mask {
	var out []blockmask.Mask
	for _, b := range s.Blocks() {
		out = append(out, blockmask.New(b))
	}
	return out
}

// iteration prints the CPU seconds of one search step, and of the same step with a full pass for every candidate.
func iteration(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
	cands := single(s)
	t0 := machine.CPUSeconds()
	if err := s.Eval(ctx, batch, nil, cands, ignore); err != nil {
		return err
	}
	t1 := machine.CPUSeconds()
	for _, c := range cands {
		if err := s.Eval(ctx, batch, c, nil, ignore); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stdout, "%.3f %.3f\n", t1-t0, machine.CPUSeconds()-t1)
	return nil
}
