package find

import (
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

// Batches have sequences of one length each, all of them once, and every position counts.
func TestSameLength(t *testing.T) {
	t.Parallel()
	var seqs []engine.Sequence
	for i, n := range []int{4, 7, 4, 4, 7, 9, 4, 4} {
		tokens := make([]engine.Token, n)
		tokens[0] = engine.Token(i)
		seqs = append(seqs, engine.Sequence{Tokens: tokens, Targets: make([]engine.Token, n)})
	}
	seen := map[engine.Token]bool{}
	for _, batch := range sameLength(seqs, 2) {
		if len(batch) > 2 {
			t.Errorf("%d sequences in a batch", len(batch))
		}
		for _, s := range batch {
			if len(s.Tokens) != len(batch[0].Tokens) || s.Scored() != len(s.Tokens) || seen[s.Tokens[0]] {
				t.Errorf("sequence %d: %d tokens, %d scored, twice %v", s.Tokens[0], len(s.Tokens), s.Scored(), seen[s.Tokens[0]])
			}
			seen[s.Tokens[0]] = true
		}
	}
	if len(seen) != len(seqs) {
		t.Errorf("%d of %d sequences", len(seen), len(seqs))
	}
}
