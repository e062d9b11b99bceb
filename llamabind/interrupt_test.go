package llamabind_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// `make test-tsan` runs these tests on an instrumented llama.cpp, where a race fails them even if nothing comes of it.

// Each kind of call is cancelled from another goroutine while llama.cpp computes. Session and model are closed as soon as it returns:
// what still looked at the flag, the graph or the weights would look at freed memory.
func TestCancelAndClose(t *testing.T) {
	none := func(int, [][]float64) error { return nil }
	type call func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error
	edited := engine.SessionParams{NSeq: 3, SeqLen: 16, Threads: 2}
	stock := engine.SessionParams{NSeq: 3, SeqLen: 16, Threads: 2, Unedited: true, Batch: 12, UBatch: 6}
	for name, c := range map[string]struct {
		params engine.SessionParams
		call   call
	}{
		"pass": {edited, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			return s.Eval(ctx, batch, mask(t, "ffn:3"), nil, none)
		}},
		"candidates": {edited, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			return s.EvalCandidates(ctx, batch, nil, []engine.Mask{mask(t, "attn:1"), mask(t, "ffn:6"), mask(t, "attn:9")}, none)
		}},
		"influence": {edited, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			_, err := s.Influence(ctx, batch)
			return err
		}},
		"likeliest": {edited, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			_, err := s.TopK(ctx, batch, 8)
			return err
		}},
		"fit": {edited, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			tap := &engine.Tap{Weight: "blk.3.ffn_down.weight"}
			stream, err := s.Segment(ctx, batch, nil, -1, 8, nil, tap)
			if err != nil {
				return err
			}
			n, k := len(stream)/256, len(tap.Features)*256/len(stream)
			if err := s.Product(ctx, tap.Weight, n, tap.Features, stream, make([]float64, k*256)); err != nil {
				return err
			}
			_, err = s.EvalFrom(ctx, batch, nil, 8, stream)
			return err
		}},
		"stock pass in pieces": {stock, func(ctx context.Context, s *llamabind.Session, batch []engine.Sequence) error {
			_, err := s.EvalPlain(ctx, batch, nil)
			return err
		}},
		"token by token": {stock, func(ctx context.Context, s *llamabind.Session, _ []engine.Sequence) error {
			for i := range 6 {
				err := s.Step(ctx, []engine.Next{{Token: 1, Seq: 0, Pos: i}, {Token: 2, Seq: 1, Pos: i}}, func(int, []float32) error { return nil })
				if err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				m, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{NoMmap: true})
				if err != nil {
					t.Fatal(err)
				}
				s, err := m.NewSession(t.Context(), c.params)
				if err != nil {
					m.Close()
					t.Fatal(err)
				}
				batch := scoredSequences(t, m)
				begin := time.Now()
				err = c.call(t.Context(), s, batch)
				if err == nil {
					err = cancelWithin(t, time.Since(begin), func(ctx context.Context) error { return c.call(ctx, s, batch) })
				}
				s.Close()
				m.Close()
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// cancelWithin makes a call that takes about this long again and again, until another goroutine cancels it somewhere in its second run.
func cancelWithin(t *testing.T, long time.Duration, call func(context.Context) error) (err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timer := time.AfterFunc(long+rand.N(long+1), cancel)
	defer timer.Stop()
	for begin := time.Now(); err == nil; err = call(ctx) {
		if time.Since(begin) > 30*time.Second+10*long {
			t.Fatal("the call does not hear of the end of its context")
		}
	}
	return err
}

// Loading and quantising end early, too, and leave nothing that goes on.
func TestCancelWhileLoading(t *testing.T) {
	load := func(ctx context.Context) error {
		m, err := llamabind.LoadModel(ctx, tiny, engine.ModelParams{NoMmap: true})
		if err == nil {
			m.Close()
		}
		return err
	}
	q4, err := llamabind.ParseFileType("Q4_0")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "q4.gguf")
	quantize := func(ctx context.Context) error {
		return llamabind.QuantizeModel(ctx, tiny, out, engine.QuantizeParams{Type: q4, AllowRequantize: true, Threads: 2}, func(int, int, string) {})
	}
	for name, call := range map[string]func(context.Context) error{"load": load, "quantise": quantize} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			if err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
			long := time.Since(begin)
			for range 4 {
				if err := cancelWithin(t, long, call); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
}

// Sessions of one model run side by side, as do models. One of them is cancelled in each round, and a model comes and goes; the others'
// numbers are those that they have alone.
func TestSideBySide(t *testing.T) {
	shared := load(t)
	batch := scoredSequences(t, shared)
	p := engine.SessionParams{NSeq: 3, SeqLen: 16, Threads: 2}
	s := open(t, shared, p)
	removed, candidate := mask(t, "ffn:3"), mask(t, "attn:5")
	want := eval(t, s, batch, removed, candidate)
	begin := time.Now()
	eval(t, s, batch, nil)
	long := time.Since(begin)

	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			s, err := shared.NewSession(t.Context(), p)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 4 {
				err := s.Eval(t.Context(), batch, removed, []engine.Mask{candidate}, func(i int, nll [][]float64) error {
					if !slices.EqualFunc(nll, want[i], slices.Equal) {
						t.Errorf("candidate %d: not what it is alone", i)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 3 {
			err := cancelWithin(t, long, func(ctx context.Context) error {
				return s.Eval(ctx, batch, nil, nil, func(int, [][]float64) error { return nil })
			})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		m, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{})
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Close()
		if _, err := m.Generate(t.Context(), "Once upon a time", 4, 1); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
}

// llama.cpp logs into Go from the threads of several calls, while the logger is exchanged. Each call that fails says why in its own words,
// not in those of a call beside it.
func TestLogSideBySide(t *testing.T) {
	defer llamabind.SetLogger(nil)
	dir := t.TempDir()
	var text bytes.Buffer
	loud := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	llamabind.SetLogger(loud)
	var all sync.WaitGroup
	miss := func(name string) {
		_, err := llamabind.LoadModel(t.Context(), filepath.Join(dir, name), engine.ModelParams{})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range 4 {
		all.Go(func() {
			for j := range 100 {
				miss(fmt.Sprintf("missing-%d-%d.gguf", i, j))
			}
		})
	}
	all.Go(func() {
		for range 2 {
			m, err := llamabind.LoadModel(t.Context(), tiny, engine.ModelParams{})
			if err != nil {
				t.Error(err)
				return
			}
			m.Close()
		}
	})
	all.Go(func() {
		quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
		for range 20 {
			llamabind.SetLogger(quiet)
			time.Sleep(time.Millisecond)
			llamabind.SetLogger(loud)
			time.Sleep(time.Millisecond)
		}
	})
	all.Wait()
	if miss("last.gguf"); !strings.Contains(text.String(), "last.gguf") {
		t.Errorf("the log says nothing of it: %s", text.String())
	}
}
