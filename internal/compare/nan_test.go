package compare

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// nan is a model whose predictions are no numbers from the tenth row on.
type nan struct{ engine.Model }

type nanSession struct{ engine.Session }

func (m nan) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	return nanSession{s}, err
}

func (s nanSession) Logits(ctx context.Context, batch []engine.Sequence, removed engine.Mask, row func(seq, pos int, logits []float32) error) error {
	n := 0
	return s.Session.Logits(ctx, batch, removed, func(seq, pos int, logits []float32) error {
		if n++; n >= 10 {
			for i := range logits {
				logits[i] = float32(math.NaN())
			}
		}
		return row(seq, pos, logits)
	})
}

// A model that computes no numbers is named: as an error where all others are compared with it, else as a warning, beside a row that says so.
func TestNoNumbers(t *testing.T) {
	t.Parallel()
	path := pruned(t)
	broken := func(which string) enginetest.Runtime {
		return enginetest.Runtime{Wrap: func(p string, m engine.Model) engine.Model {
			if p == which {
				return nan{m}
			}
			return m
		}}
	}
	if _, err := Run(t.Context(), job(broken(tinyModel), path), new(progresstest.Listener)); !errors.Is(err, kld.ErrNoNumbers) || !strings.HasPrefix(err.Error(), tinyModel+": ") {
		t.Errorf("the reference: %v", err)
	}
	sink := new(progresstest.Listener)
	out, err := Run(t.Context(), job(broken(path), path), sink)
	if err != nil || out.Rows[1].KL.Finite() || !strings.Contains(strings.Join(sink.Notes, "|"), "its predictions are no numbers") {
		t.Errorf("another: %+v, %v, notes %q", out, err, sink.Notes)
	}
	if out, err = Run(t.Context(), job(broken("none"), path), new(progresstest.Listener)); err != nil || !out.Rows[1].KL.Finite() {
		t.Errorf("none: %+v, %v", out, err)
	}
}

// A base file whose tail was lost, and made up with zeros, is named and refused.
func TestDamagedBase(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "base.kld")
	j := job(enginetest.Runtime{}, pruned(t))
	j.SaveBase = base
	run(t, j)
	data, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[len(data)-1000:])
	if err := os.WriteFile(base, data, 0o600); err != nil {
		t.Fatal(err)
	}
	with := job(enginetest.Runtime{})
	with.BaseLogits = base
	if _, err := Run(t.Context(), with, new(progresstest.Listener)); !errors.Is(err, kld.ErrDamaged) || !strings.Contains(err.Error(), base+": damaged: in window 6 of 6") {
		t.Errorf("%v", err)
	}
}
