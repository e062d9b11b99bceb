package fit_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

// keptOf are the channels that a fit kept, for another one to keep.
func keptOf(res *fit.Result) map[blockmask.Block]blockmask.Indices {
	out := map[blockmask.Block]blockmask.Indices{}
	for b, n := range res.Narrowed {
		out[b] = n.Kept
	}
	return out
}

// Channels that were chosen before lead to the same weights, bit for bit, as choosing them; with whole blocks gone, too, and with another
// width for each layer.
func TestKeptChannels(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"", "attn:2", "attn:0,ffn:3"} {
		m, q := fittest.New(4), request(removed)
		q.Widths = map[blockmask.Block]int{ffn(1): 6, ffn(2): 4}
		want, err := fit.Run(t.Context(), m, m, q)
		if err != nil {
			t.Fatal(err)
		}
		again := fittest.New(4)
		q.Widths, q.Kept = nil, keptOf(want)
		got, err := fit.Run(t.Context(), again, again, q)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(again.W, m.W) || len(got.Narrowed) != 2 {
			t.Errorf("without %q: %+v in place of %+v", removed, got, want)
		}
	}
}

func TestKeptChannelsThatAreNotThere(t *testing.T) {
	t.Parallel()
	kept, err := blockmask.NewIndices([]int{0, fittest.Features})
	if err != nil {
		t.Fatal(err)
	}
	m, q := fittest.New(3), request("")
	q.Kept = map[blockmask.Block]blockmask.Indices{ffn(1): kept}
	if _, err := fit.Run(t.Context(), m, m, q); err == nil || !strings.Contains(err.Error(), "ffn:1: it is to keep channel 9") {
		t.Error(err)
	}
}

// A fit of channels that ended anywhere goes on as a repair does, whether it chooses them or not.
func TestInterruptedWidthGoesOn(t *testing.T) {
	t.Parallel()
	whole := &counter{Toy: fittest.New(4)}
	q := request("attn:3")
	q.HeldOf = []int{0, 1, 0, 1, 1, 0} // kinds of text
	q.Widths = map[blockmask.Block]int{ffn(1): 6, ffn(2): 4}
	want, err := fit.Run(t.Context(), whole, whole, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []bool{false, true} {
		if given {
			q.Widths, q.Kept = nil, keptOf(want)
		}
		last, ended := whole.runs+1, 0
		for after := range 40 {
			log := &memory{notes: map[string]json.RawMessage{}, weights: map[string][]byte{}, left: after}
			m := fittest.New(4)
			q.Log = log
			_, err := fit.Run(t.Context(), m, m, q)
			if err == nil {
				break
			}
			if !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			ended++
			log.left = 1000
			again := &counter{Toy: fittest.New(4)}
			got, err := fit.Run(t.Context(), again, again, q)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(again.W, whole.W) {
				t.Errorf("given %t, resumed after %d: %+v in place of %+v", given, after, got, want)
			}
			if again.runs > last {
				t.Errorf("given %t: with %d values kept it ran %d segments, with fewer %d", given, after, again.runs, last)
			}
			last = again.runs
		}
		if ended < 10 || last > whole.runs/2 {
			t.Errorf("given %t: it ended %d times, and ran %d segments at the end, %d from the beginning", given, ended, last, whole.runs)
		}
	}
}

// What a file holds of a narrowed tensor is kept apart from what the model has of it: without it the block is fitted again.
func TestLogWithoutNarrowedWeights(t *testing.T) {
	t.Parallel()
	q := request("")
	q.Widths = map[blockmask.Block]int{ffn(1): 6, ffn(2): 4}
	log := &memory{notes: map[string]json.RawMessage{}, weights: map[string][]byte{}, left: 1000}
	q.Log = log
	m := fittest.New(4)
	want, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	name := "narrowed/" + want.Narrowed[ffn(2)].Tensor
	if !slices.Equal(log.weights[name], want.Narrowed[ffn(2)].Data) {
		t.Fatalf("kept are %d bytes", len(log.weights[name]))
	}
	delete(log.weights, name)
	m = fittest.New(4)
	got, err := fit.Run(t.Context(), m, m, q)
	if err != nil || !reflect.DeepEqual(got, want) || log.weights[name] == nil {
		t.Errorf("%+v, %v", got, err)
	}
}
