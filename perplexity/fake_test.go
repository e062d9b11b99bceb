package perplexity

import (
	"context"
	"fmt"
	"hash/fnv"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// byteTokenizer makes one token of each byte: its value plus 100. "!" at the start of a text fails.
type byteTokenizer struct{ bos, addBOS, addEOS bool }

func (b byteTokenizer) Tokenize(text string, addSpecial, _ bool) ([]engine.Token, error) {
	if len(text) > 0 && text[0] == '!' {
		return nil, fmt.Errorf("cannot tokenize")
	}
	var out []engine.Token
	if addSpecial && b.addBOS {
		out = append(out, 1)
	}
	for i := range len(text) {
		out = append(out, engine.Token(text[i])+100)
	}
	return out, nil
}

func (b byteTokenizer) BOS() engine.Token {
	if b.bos {
		return 1
	}
	return -1
}
func (b byteTokenizer) AddBOS() bool { return b.addBOS }
func (b byteTokenizer) AddEOS() bool { return b.addEOS }

var withBOSTok = byteTokenizer{bos: true, addBOS: true}

// fakeEngine is a causal model made of a hash: the loss at a position depends on the tokens up to it, the target and the
// mask, and on nothing else. It fails the test if a batch breaks its limits.
type fakeEngine struct {
	t                    *testing.T
	batchTokens, maxSeqs int
	evals                int
	loss                 func(seq engine.Sequence, p int, m blockmask.Mask) float64 // nil: hashLoss
	badRun               bool                                                       // skips the last run
}

func (e *fakeEngine) Blocks() []blockmask.Block { return nil }
func (e *fakeEngine) BatchTokens() int          { return e.batchTokens }
func (e *fakeEngine) BatchSeqs() int            { return e.maxSeqs }

func hashLoss(seq engine.Sequence, p int, m blockmask.Mask) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, seq.Tokens[:p+1], seq.Targets[p], m.String())
	return float64(h.Sum64()%100000) / 20000
}

func (e *fakeEngine) Eval(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
	yield func(i int, nll [][]float64) error,
) error {
	longest := 0
	for _, s := range batch {
		longest = max(longest, len(s.Tokens))
	}
	if len(batch) == 0 || len(batch) > e.maxSeqs || len(batch)*longest > e.batchTokens {
		e.t.Errorf("batch of %d sequences of %d tokens; limits are %d and %d", len(batch), longest, e.maxSeqs, e.batchTokens)
	}
	e.evals++
	loss := e.loss
	if loss == nil {
		loss = hashLoss
	}
	for i := -1; i < len(candidates); i++ {
		if e.badRun && i == len(candidates)-1 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m := removed
		if i >= 0 {
			m = removed.Union(candidates[i])
		}
		nll := make([][]float64, len(batch))
		for s, seq := range batch {
			nll[s] = make([]float64, len(seq.Tokens))
			for p, target := range seq.Targets {
				if target >= 0 {
					nll[s][p] = loss(seq, p, m)
				}
			}
		}
		if err := yield(i, nll); err != nil {
			return err
		}
		for s := range nll { // the arrays are the engine's again
			for p := range nll[s] {
				nll[s][p] = -1e9
			}
		}
	}
	return nil
}
