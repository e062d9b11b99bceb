package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/ggufprune/ggufprune/engine"
)

// Prepared is a task in tokens.
type Prepared struct {
	Task      *Task
	Sequences []engine.Sequence // to be run; each loss that counts has a target
	Truncated int               // items of which a sequence lost its beginning

	parts [][]part // of each item's choices
}

// part is one choice: the sum of the losses of seqs (indices into Sequences) is its negative log-likelihood.
type part struct {
	seqs    []int
	divisor float64 // for acc_norm
}

// Prepare tokenises the items. A sequence that has more than nCtx tokens loses its first ones, as in the harness
// (nCtx 0 is no limit); llama-perplexity would refuse it. An item of which an ending alone is longer is an error.
//
// The tokens of a choice that count are, by convention:
//
//   - the harness's: those behind as many as the prompt has by itself, white space at its end left out;
//   - llama-perplexity --hellaswag and --multiple-choice: those behind the longest beginning that all choices share;
//   - --winogrande: those behind the prompt, if more than three tokens follow the common beginning in both choices, else those
//     behind the common beginning; not the last one, where there are two or more. Where the second choice's count starts with
//     the common beginning, llama-perplexity takes the prediction of its first token from the end of the first choice. Its
//     source calls that wrong. It is repeated here, since the number would not be comparable otherwise.
func (t *Task) Prepare(tok engine.Tokenizer, nCtx int) (*Prepared, error) {
	p := &Prepared{Task: t}
	for _, it := range t.Items {
		b := itemBuilder{tok: tok, nCtx: nCtx, out: p}
		var err error
		switch t.Convention {
		case Harness:
			err = b.harness(it)
		case LlamaWinoGrande:
			err = b.winoGrande(it)
		default:
			err = b.common(it)
		}
		if err != nil {
			return nil, fmt.Errorf("item %d of %s: %w", it.Place, t.Name, err)
		}
		if b.truncated {
			p.Truncated++
		}
		p.parts = append(p.parts, b.parts)
	}
	return p, nil
}

// itemBuilder makes the sequences of one item.
type itemBuilder struct {
	tok       engine.Tokenizer
	nCtx      int
	out       *Prepared
	parts     []part
	truncated bool
}

// harness splits each choice at the length that its prompt has by itself.
func (b *itemBuilder) harness(it Item) error {
	prompts := map[string]int{}
	for _, c := range it.Choices {
		prompt := strings.TrimRightFunc(c.Prompt, unicode.IsSpace)
		if _, ok := prompts[prompt]; !ok {
			tokens, err := b.encode(prompt)
			if err != nil {
				return err
			}
			prompts[prompt] = len(tokens)
		}
		whole, err := b.encode(c.Prompt + c.Ending)
		if err != nil {
			return err
		}
		from := prompts[prompt]
		if from == 0 || from >= len(whole) {
			return fmt.Errorf("its prompt or its choice %q has no token of its own", c.Ending)
		}
		if err := b.add(float64(c.Characters), span{whole, from, len(whole)}); err != nil {
			return err
		}
	}
	return nil
}

// encode tokenises as a Hugging Face tokenizer does by default: BOS where the model wants it, nothing behind the text.
func (b *itemBuilder) encode(text string) ([]engine.Token, error) {
	tokens, err := b.tok.Tokenize(text, false, false)
	if err == nil && b.tok.AddBOS() && b.tok.BOS() >= 0 {
		tokens = slices.Insert(tokens, 0, b.tok.BOS())
	}
	return tokens, err
}

// common splits all choices behind their common beginning.
func (b *itemBuilder) common(it Item) error {
	whole, err := b.all(it)
	if err != nil {
		return err
	}
	// llama-perplexity reads beyond a choice with which all others begin; here it keeps one token. Nothing predicts a first
	// token.
	cp := max(1, min(commonPrefix(whole), shortest(whole)-1))
	for _, w := range whole {
		if len(w) <= cp {
			return errors.New("a choice has only one token")
		}
		if err := b.add(float64(len(w)-cp), span{w, cp, len(w)}); err != nil {
			return err
		}
	}
	return nil
}

// all tokenises all choices as llama-perplexity does.
func (b *itemBuilder) all(it Item) ([][]engine.Token, error) {
	out := make([][]engine.Token, len(it.Choices))
	for i, c := range it.Choices {
		var err error
		if out[i], err = b.tok.Tokenize(c.Prompt+c.Ending, true, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// minTrailing is llama-perplexity's k_min_trailing_ctx.
const minTrailing = 3

func (b *itemBuilder) winoGrande(it Item) error {
	whole, err := b.all(it)
	if err != nil {
		return err
	}
	cp := commonPrefix(whole)
	behindPrompt := shortest(whole)-cp > minTrailing
	for i, w := range whole {
		from := cp
		if behindPrompt {
			prompt, err := b.tok.Tokenize(it.Choices[i].Prompt, true, false)
			if err != nil {
				return err
			}
			from = len(prompt)
		}
		to := len(w)
		if to-from > 1 {
			to--
		}
		// With no token the mean is 0/0, as in llama-perplexity, whose second choice wins then.
		divisor := float64(max(0, to-from))
		from = max(1, from)
		if i == 0 || from > cp || from >= to {
			err = b.add(divisor, span{w, from, to})
		} else {
			first := append(slices.Clone(whole[0]), w[from])
			err = b.add(divisor, span{first, len(first) - 1, len(first)}, span{w, from + 1, to})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// span is what counts of a text: tokens[from:to], each predicted by those in front of it; from is at least 1.
type span struct {
	tokens   []engine.Token
	from, to int
}

// add makes the sequences of a choice. The last token that counts is only a target, so it is not run.
func (b *itemBuilder) add(divisor float64, spans ...span) error {
	p := part{divisor: divisor}
	for _, s := range spans {
		if s.from >= s.to {
			continue
		}
		cut := 0
		if b.nCtx > 0 && s.to-1 > b.nCtx {
			cut, b.truncated = s.to-1-b.nCtx, true
		}
		if cut >= s.from {
			return fmt.Errorf("a choice of %d tokens does not fit the context of %d; raise -c", s.to-s.from, b.nCtx)
		}
		seq := engine.Sequence{Tokens: s.tokens[cut : s.to-1]}
		for i := cut; i < s.to-1; i++ {
			target := engine.Unscored
			if i+1 >= s.from {
				target = s.tokens[i+1]
			}
			seq.Targets = append(seq.Targets, target)
		}
		p.seqs = append(p.seqs, len(b.out.Sequences))
		b.out.Sequences = append(b.out.Sequences, seq)
	}
	b.parts = append(b.parts, p)
	return nil
}

// commonPrefix is the number of tokens with which all begin.
func commonPrefix(seqs [][]engine.Token) int {
	n := shortest(seqs)
	for i := range n {
		for _, s := range seqs[1:] {
			if s[i] != seqs[0][i] {
				return i
			}
		}
	}
	return n
}

func shortest(seqs [][]engine.Token) int {
	n := len(seqs[0])
	for _, s := range seqs {
		n = min(n, len(s))
	}
	return n
}
