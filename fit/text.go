package fit

import (
	"fmt"
	"math/rand/v2"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// heldShare: one of so many sequences is held back from the fit, to choose by.
const heldShare = 4

// Batches cuts texts into sequences of length tokens, with BOS in front where the model wants it: about so many positions in all, the same
// from each text, drawn by seed. A batch has up to nSeq sequences. The last target of a sequence is arbitrary.
func Batches(tok engine.Tokenizer, texts []*perplexity.Corpus, length, positions, nSeq int, seed uint64) (fit, held [][]engine.Sequence, err error) {
	var parts [2][]engine.Sequence
	for _, c := range texts {
		stream, err := tok.Tokenize(c.Text(), false, false)
		if err != nil {
			return nil, nil, fmt.Errorf("tokenize %s: %w", c.Name, err)
		}
		step := length
		bos := tok.AddBOS() && tok.BOS() >= 0
		if bos {
			step--
		}
		there := len(stream) / step
		n := min(there, max(heldShare, positions/len(texts)/length))
		if n < heldShare {
			return nil, nil, fmt.Errorf("%s is too short for a repair: it has %d tokens, %d are needed; give more text", c.Name, len(stream), heldShare*step)
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
			if i%heldShare == heldShare-1 {
				part = 1
			}
			parts[part] = append(parts[part], q)
		}
	}
	return inBatches(parts[0], nSeq), inBatches(parts[1], nSeq), nil
}

func inBatches(all []engine.Sequence, n int) (out [][]engine.Sequence) {
	for ; len(all) > n; all = all[n:] {
		out = append(out, all[:n])
	}
	return append(out, all)
}
