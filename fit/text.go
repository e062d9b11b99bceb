package fit

import (
	"fmt"
	"math/rand/v2"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// least is how many sequences of a text there must be: one of them is held back.
const least = 4

// Held reports whether the i-th sequence of a text is held back from the fit, to choose by.
type Held func(i int) bool

// Quarter holds back a quarter of a text.
func Quarter(i int) bool { return i%4 == 3 }

// Few holds back a quarter of a short text, and ever less of a long one, down to a sixteenth: many positions choose no better, and what
// is held back is not fitted.
func Few(i int) bool {
	if i < 8 {
		return Quarter(i)
	}
	return i%16 == 15
}

// Material is a kind of text, and its part of all positions. A text that has less gives what it has.
type Material struct {
	*perplexity.Corpus
	Share    float64
	Optional bool // left out by [Enough] where it is too short
}

// Enough returns the materials without the optional ones that are too short for sequences of length tokens. The others have their share.
func Enough(tok engine.Tokenizer, all []Material, length int) ([]Material, error) {
	var out []Material
	share := 0.0
	for _, c := range all {
		stream, err := c.Stream(tok)
		if err != nil {
			return nil, fmt.Errorf("tokenize %s: %w", c.Name, err)
		}
		if c.Optional && len(stream) < least*length {
			continue
		}
		share += c.Share
		out = append(out, c)
	}
	for i := range out {
		out[i].Share /= share
	}
	return out, nil
}

// Pieces are sequences of one length, in batches.
type Pieces struct {
	Fit, Held [][]engine.Sequence
	HeldOf    []int // which material each sequence of Held is of
}

// Positions is how many there are in all.
func (p *Pieces) Positions() int {
	n := 0
	for _, part := range [][][]engine.Sequence{p.Fit, p.Held} {
		for _, batch := range part {
			n += len(batch) * len(batch[0].Tokens)
		}
	}
	return n
}

// sequences is how many sequences of length a fit takes of a text, if it is long enough: its share of so many positions, and the least.
func (m Material) sequences(length, positions int) int {
	return max(least, int(m.Share*float64(positions)+1e-6)/length)
}

// Planned is about how many positions [Cut] makes of texts that are long enough: more than it is asked for where shares are small.
func Planned(all []Material, length, positions int) (n int) {
	for _, m := range all {
		n += length * m.sequences(length, positions)
	}
	return n
}

// Cut cuts materials into sequences of length tokens, with BOS in front where the model wants it: about so many positions in all, drawn
// by seed; fewer positions are a part of more. A batch has up to nSeq sequences. The last target of a sequence is arbitrary.
func Cut(tok engine.Tokenizer, all []Material, held Held, length, positions, nSeq int, seed uint64) (*Pieces, error) {
	var parts [2][]engine.Sequence
	out := new(Pieces)
	for kind, c := range all {
		stream, err := c.Stream(tok)
		if err != nil {
			return nil, fmt.Errorf("tokenize %s: %w", c.Name, err)
		}
		step := length
		bos := tok.AddBOS() && tok.BOS() >= 0
		if bos {
			step--
		}
		there := len(stream) / step
		n := min(there, c.sequences(length, positions))
		if n < least {
			return nil, fmt.Errorf("%s is too short for a repair: it has %d tokens, %d are needed; give more text", c.Name, len(stream), least*step)
		}
		rng := rand.New(rand.NewPCG(seed, uint64(len(stream))))
		for i, piece := range rng.Perm(there)[:n] {
			at := piece * step
			var q engine.Sequence
			if bos {
				q.Tokens = append(q.Tokens, tok.BOS())
			}
			q.Tokens = append(q.Tokens, stream[at:at+step]...)
			q.Targets = append(append(q.Targets, q.Tokens[1:]...), 0)
			part := 0
			if held(i) {
				part = 1
				out.HeldOf = append(out.HeldOf, kind)
			}
			parts[part] = append(parts[part], q)
		}
	}
	out.Fit, out.Held = inBatches(parts[0], nSeq), inBatches(parts[1], nSeq)
	return out, nil
}

// Batches is [Cut] with as many positions of each text, a quarter of which are held back.
func Batches(tok engine.Tokenizer, texts []*perplexity.Corpus, length, positions, nSeq int, seed uint64) (fit, held [][]engine.Sequence, err error) {
	var all []Material
	for _, c := range texts {
		all = append(all, Material{Corpus: c, Share: 1 / float64(len(texts))})
	}
	p, err := Cut(tok, all, Quarter, length, positions, nSeq, seed)
	if err != nil {
		return nil, nil, err
	}
	return p.Fit, p.Held, nil
}

func inBatches(all []engine.Sequence, n int) (out [][]engine.Sequence) {
	for ; len(all) > n; all = all[n:] {
		out = append(out, all[:n])
	}
	return append(out, all)
}
