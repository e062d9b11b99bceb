package fit_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

// memory is a log that fails when it has kept so many values.
type memory struct {
	notes   map[string]json.RawMessage
	weights map[string][]byte
	left    int
}

var errFull = errors.New("no space left")

func (m *memory) Note(name string) json.RawMessage { return m.notes[name] }

func (m *memory) SetNote(name string, value any) (err error) {
	if m.left--; m.left < 0 {
		return errFull
	}
	m.notes[name], err = json.Marshal(value)
	return err
}

func (m *memory) Weights(name string) ([]byte, error) { return m.weights[name], nil }

func (m *memory) KeepWeights(name string, data []byte) error {
	if m.left--; m.left < 0 {
		return errFull
	}
	m.weights[name] = slices.Clone(data)
	return nil
}

// counter counts how often a toy is run.
type counter struct {
	*fittest.Toy
	runs int
}

func (c *counter) Segment(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*engine.Tap) ([]float32, error) {
	c.runs++
	return c.Toy.Segment(ctx, batch, removed, start, stop, in, taps...)
}

// A repair that ended anywhere goes on, runs no block again that it was done with, and ends with the same weights.
func TestInterruptedRepairGoesOn(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"ffn:1,attn:3", "attn:0,ffn:2"} {
		whole := &counter{Toy: fittest.New(4)}
		want, err := fit.Run(t.Context(), whole, whole, request(removed))
		if err != nil {
			t.Fatal(err)
		}
		last := whole.runs + 1
		for after := range 20 {
			log := &memory{notes: map[string]json.RawMessage{}, weights: map[string][]byte{}, left: after}
			m, q := fittest.New(4), request(removed)
			q.Log = log
			_, err := fit.Run(t.Context(), m, m, q)
			if err != nil && !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			if err == nil {
				if after < 4 {
					t.Fatal("nothing was kept")
				}
				break
			}
			for i := range m.W {
				if !slices.Equal(m.W[i], m.First[i]) {
					t.Errorf("%s, ended after %d: %s was not put back", removed, after, fittest.Name(i))
				}
			}
			log.left = 1000
			again := &counter{Toy: fittest.New(4)}
			got, err := fit.Run(t.Context(), again, again, q)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, resumed after %d: %+v in place of %+v", removed, after, got, want)
			}
			if again.runs > last {
				t.Errorf("%s: with %d values kept it ran %d segments, with fewer %d", removed, after, again.runs, last)
			}
			last = again.runs
			for i := range again.W {
				if !slices.Equal(again.W[i], whole.W[i]) {
					t.Errorf("%s, resumed after %d: %s differs", removed, after, fittest.Name(i))
				}
			}
		}
	}
}

// Weights that the log has lost are fitted again, like all behind them.
func TestLogWithoutWeights(t *testing.T) {
	t.Parallel()
	m, q := fittest.New(4), request("ffn:1,attn:3")
	log := &memory{notes: map[string]json.RawMessage{}, weights: map[string][]byte{}, left: 1000}
	q.Log = log
	want, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(log.weights))
	delete(log.weights, names[len(names)/2])
	m = fittest.New(4)
	got, err := fit.Run(t.Context(), m, m, q)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What is no number is null in a log, and was -1 in those of earlier versions.
func TestLogOfNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	m, q := fittest.New(4), request("ffn:1,attn:3")
	log := &memory{notes: map[string]json.RawMessage{}, weights: map[string][]byte{}, left: 1000}
	q.Log = log
	if _, err := fit.Run(t.Context(), m, m, q); err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"-1", "null"} {
		raw := regexp.MustCompile(`"before":[^,]*,"after":[^}]*`).ReplaceAll(log.notes["repair/attn:2"], []byte(`"before":`+none+`,"after":`+none))
		if log.notes["repair/attn:2"] = raw; !json.Valid(raw) {
			t.Fatalf("%s", raw)
		}
		m = fittest.New(4)
		got, err := fit.Run(t.Context(), m, m, q)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(got.Blocks, func(b fit.Block) bool { return b.Block.String() == "attn:2" })
		if b := got.Blocks[i]; !math.IsInf(float64(b.Before), 1) || !math.IsInf(float64(b.After), 1) {
			t.Errorf("%s: %+v", none, b)
		}
		if text, err := json.Marshal(got.Blocks[i]); err != nil || !strings.Contains(string(text), `"before":null,"after":null`) {
			t.Errorf("%s, %v", text, err)
		}
	}
}
