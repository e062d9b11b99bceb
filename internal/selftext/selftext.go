// Package selftext lets a model write its own calibration text: documents are sampled from it, many at once, with one random
// source for each. The engine is behind an interface; nothing here knows llama.cpp.
package selftext

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/ggufprune/ggufprune/engine"
)

// Options say what to write.
type Options struct {
	Documents   int     // how many; with Total at most
	Total       int     // tokens of the model's own, with which there are enough; 0: all documents are wanted
	Tokens      int     // most tokens of a document
	Parallel    int     // documents that are written at once
	Temperature float64 // of the sampling; 1 is the model's own distribution
	Seed        uint64

	// Frames are taken in turns. A frame is what is given of a document: the model writes after each part until it ends its
	// turn. The first part is not empty: there is no token without one before it.
	Frames [][][]engine.Token
	// Ends reports whether a token ends a turn. It is not kept: what follows a turn is in the frame.
	Ends func(engine.Token) bool
}

const (
	minWritten = 8 // a document with fewer tokens of the model's own is none
	maxTries   = 4 // documents begun for one that is wanted
)

// Write returns the documents, each with its frame, in the order in which they were begun: the same ones for the same options on the
// same engine. done is told how many tokens have been run. Fewer documents than asked for are an error.
func Write(ctx context.Context, s engine.Stepper, o Options, done func(tokens int)) ([][]engine.Token, error) {
	w := writer{Options: o}
	slots := make([]*document, max(1, min(o.Parallel, o.Documents)))
	for i := range slots {
		slots[i] = w.begin()
	}
	for tokens := 0; !w.enough(); {
		in, of := advance(slots)
		if len(in) == 0 {
			return nil, errors.New("the model ends its texts as soon as they begin, so it cannot write its own calibration; give a text with -f")
		}
		err := s.Step(ctx, in, func(i int, logits []float32) error {
			slots[of[i]].see(logits, o)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for i, d := range slots {
			if d != nil && d.over {
				slots[i] = w.begin()
			}
		}
		tokens += len(in)
		done(tokens)
	}
	return w.documents(), nil
}

// writer keeps the documents in the order in which they were begun, so that which of them ends first does not matter.
type writer struct {
	Options
	begun []*document
}

// begin returns the next document, nil when there are enough of them or too many were in vain.
func (w *writer) begin() *document {
	good, tokens := 0, 0
	for _, d := range w.begun {
		switch {
		case !d.over:
			good, tokens = good+1, tokens+w.Tokens
		case d.written >= minWritten:
			good, tokens = good+1, tokens+d.written
		}
	}
	if good >= w.Documents || w.Total > 0 && tokens >= w.Total || len(w.begun) >= maxTries*w.Documents {
		return nil
	}
	frame := w.Frames[len(w.begun)%len(w.Frames)]
	d := &document{rng: rand.New(rand.NewPCG(w.Seed, uint64(len(w.begun)+1))), frame: frame, given: frame[0]}
	w.begun = append(w.begun, d)
	return d
}

func (w *writer) enough() bool {
	good, tokens := 0, 0
	for _, d := range w.begun {
		if d.over && d.written >= minWritten {
			good, tokens = good+1, tokens+d.written
		}
	}
	return good >= w.Documents || w.Total > 0 && tokens >= w.Total
}

func (w *writer) documents() [][]engine.Token {
	var out [][]engine.Token
	for _, d := range w.begun {
		if d.over && d.written >= minWritten {
			out = append(out, d.tokens)
		}
	}
	return out
}

// document is one text as it grows.
type document struct {
	rng    *rand.Rand
	tokens []engine.Token
	frame  [][]engine.Token
	given  []engine.Token // of the frame, still to come
	part   int            // of the frame
	turn   int            // tokens of the turn so far
	next   engine.Token   // what was sampled last

	written int // tokens that the model wrote
	over    bool
}

// advance returns what each document goes on with, and which slot it is in.
func advance(slots []*document) (in []engine.Next, of []int) {
	for i, d := range slots {
		if d == nil {
			continue
		}
		t := d.next
		if len(d.given) > 0 {
			t, d.given = d.given[0], d.given[1:]
		}
		in, of = append(in, engine.Next{Token: t, Seq: i, Pos: len(d.tokens)}), append(of, i)
		d.tokens = append(d.tokens, t)
	}
	return in, of
}

// see takes the logits behind the document's last token.
func (d *document) see(logits []float32, o Options) {
	if len(d.tokens) >= o.Tokens {
		d.over = true
		return
	}
	if len(d.given) > 0 {
		return
	}
	d.next = Sample(logits, o.Temperature, d.rng.Float64())
	last := d.part+1 == len(d.frame)
	// An asking turn that finds no end gets one, so that there is room for the answer.
	if !o.Ends(d.next) && (last || d.turn < o.Tokens/(2*len(d.frame))) {
		d.turn++
		d.written++
		return
	}
	if last {
		d.over = true
		return
	}
	d.part++
	d.turn = 0
	d.given = d.frame[d.part]
}

// Sample returns a token drawn from the softmax of logits at a temperature by u, which is uniform in [0, 1). At temperature 0 it is
// the likeliest token. Sums are in double precision and in the order of the vocabulary: the same u gives the same token.
func Sample(logits []float32, temperature, u float64) engine.Token {
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	if temperature <= 0 {
		return engine.Token(best)
	}
	weight := func(i int) float64 { return math.Exp((float64(logits[i]) - float64(logits[best])) / temperature) }
	total := 0.0
	for i := range logits {
		if w := weight(i); w > 0 { // not NaN
			total += w
		}
	}
	u *= total
	for i := range logits {
		if w := weight(i); w > 0 {
			if u -= w; u < 0 {
				return engine.Token(i)
			}
		}
	}
	return engine.Token(best)
}
