package perplexity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// Convention says how text becomes sequences and losses become a perplexity; see the package comment.
type Convention string

// The two conventions.
const (
	Samples Convention = "samples"
	Windows Convention = "windows"
)

// ParseConvention reads a convention's name.
func ParseConvention(s string) (Convention, error) {
	if c := Convention(strings.ToLower(s)); c == Samples || c == Windows {
		return c, nil
	}
	return "", fmt.Errorf("unknown convention %q; use samples (the paper's) or windows (llama-perplexity's)", s)
}

// Set is a tokenised corpus: the sequences of one convention. It is immutable.
type Set struct {
	Convention Convention
	Metric     Metric // what losses are: see [WithReferences]
	Corpus     string // name of the corpus
	Context    int    // n_ctx in tokens: length of a window, greatest length of a sample
	Sequences  []engine.Sequence

	Cut     int // documents that were longer than the context (samples)
	Skipped int // documents that have no token to predict (samples)
}

// SetOptions says what to take of a corpus.
type SetOptions struct {
	Context int // n_ctx in tokens

	// Max is the most sequences to take; 0 is all. Windows takes the first ones, as llama-perplexity's --chunks.
	Max int

	// Seed chooses which Max sequences Samples takes of a larger corpus: 0 the first ones, else a random sample in the
	// corpus's order, the same for the same seed.
	Seed uint64
}

// ErrTooShort is wrapped by errors about a corpus that has too few tokens.
var ErrTooShort = errors.New("too short")

const (
	minContext = 4  // the least n_ctx that leaves each window a position to score
	minScored  = 32 // fewer predictions than this are noise, most likely a mistake
)

// NewSet tokenises corpus for convention.
func NewSet(convention Convention, corpus *Corpus, tok engine.Tokenizer, o SetOptions) (*Set, error) {
	if o.Context < minContext {
		return nil, fmt.Errorf("context of %d tokens: perplexity needs at least %d", o.Context, minContext)
	}
	if o.Max < 0 {
		o.Max = 0
	}
	set := &Set{Convention: convention, Corpus: corpus.Name, Context: o.Context}
	var err error
	switch {
	case convention == Windows:
		err = set.cutWindows(corpus, tok, o)
	case convention != Samples:
		_, err = ParseConvention(string(convention))
	case corpus.Continuous:
		err = set.cutText(corpus, tok, o)
	default:
		err = set.takeDocuments(corpus, tok, o)
	}
	if err != nil {
		return nil, err
	}
	if n := set.Scored(); n < minScored && convention == Samples {
		return nil, fmt.Errorf("%s is %w: it has %d tokens to predict, at least %d are needed; give more text",
			corpus.Name, ErrTooShort, n, minScored)
	}
	return set, nil
}

// cutWindows makes llama-perplexity's windows.
func (s *Set) cutWindows(c *Corpus, tok engine.Tokenizer, o SetOptions) error {
	if tok.AddEOS() {
		return errors.New("this model ends every text with EOS, for which llama-perplexity's windows are not defined; use samples")
	}
	stream, err := tok.Tokenize(c.Text(), true, false)
	if err != nil {
		return fmt.Errorf("tokenize %s: %w", c.Name, err)
	}
	if len(stream) < 2*o.Context {
		return fmt.Errorf("%s is %w: it has %d tokens, windows of %d need at least %d; give more text or a smaller context (-c)",
			c.Name, ErrTooShort, len(stream), o.Context, 2*o.Context)
	}
	n := len(stream) / o.Context
	if o.Max > 0 {
		n = min(n, o.Max)
	}
	s.Sequences = windowsOf(stream[:n*o.Context], o.Context, tok)
	return nil
}

// cutText cuts text without document boundaries into full sequences for Samples. The remainder at the end is left out,
// unless it is all there is.
func (s *Set) cutText(c *Corpus, tok engine.Tokenizer, o SetOptions) error {
	stream, err := tok.Tokenize(c.Text(), false, false)
	if err != nil {
		return fmt.Errorf("tokenize %s: %w", c.Name, err)
	}
	step := o.Context
	if addsBOS(tok) {
		step--
	}
	n := max(1, len(stream)/step)
	for _, i := range choose(n, o.Max, o.Seed) {
		piece := stream[i*step : min((i+1)*step, len(stream))]
		s.Sequences = append(s.Sequences, predictNext(withBOS(tok, piece), 0))
	}
	return nil
}

// takeDocuments makes one sequence of each document for Samples.
func (s *Set) takeDocuments(c *Corpus, tok engine.Tokenizer, o SetOptions) error {
	taken := map[int]engine.Sequence{}
	for _, i := range ordered(len(c.Documents), o.Seed) {
		if o.Max > 0 && len(taken) == o.Max {
			break
		}
		tokens, err := c.tokenize(i, tok)
		if err != nil {
			return err
		}
		if len(tokens) < 2 {
			s.Skipped++
			continue
		}
		if len(tokens) > o.Context {
			tokens = tokens[:o.Context]
			s.Cut++
		}
		taken[i] = predictNext(tokens, 0)
	}
	for i := range c.Documents {
		if seq, ok := taken[i]; ok {
			s.Sequences = append(s.Sequences, seq)
		}
	}
	return nil
}

// choose returns which limit of n sequences to take, in ascending order; limit 0 is all.
func choose(n, limit int, seed uint64) []int {
	order := ordered(n, seed)
	if limit > 0 {
		order = order[:min(limit, n)]
	}
	slices.Sort(order)
	return order
}

// ordered returns 0 .. n-1 in the order in which they are taken: as they are for seed 0, else shuffled.
func ordered(n int, seed uint64) []int {
	if seed != 0 {
		return rand.New(rand.NewPCG(seed, 0)).Perm(n)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// Stream returns the tokens of all documents as one text, with nothing put in front or behind. Between documents stands an empty line.
func (c *Corpus) Stream(tok engine.Tokenizer) (out []engine.Token, err error) {
	if all := c.AllSpecial(); all || !slices.Contains(c.special, true) {
		return tok.Tokenize(c.Text(), false, all)
	}
	for i, doc := range c.Documents {
		if i > 0 {
			doc = documentsApart + doc
		}
		tokens, err := tok.Tokenize(doc, false, c.parsesSpecial(i))
		if err != nil {
			return nil, err
		}
		out = append(out, tokens...)
	}
	return out, nil
}

// tokenize returns the tokens of document i, with BOS in front where the model wants it: once, also where a template has
// written it already.
func (c *Corpus) tokenize(i int, tok engine.Tokenizer) ([]engine.Token, error) {
	tokens, err := tok.Tokenize(c.Documents[i], false, c.parsesSpecial(i))
	if err != nil {
		return nil, fmt.Errorf("tokenize document %d of %s: %w", i+1, c.Name, err)
	}
	if c.parsesSpecial(i) && addsBOS(tok) && len(tokens) > 0 && tokens[0] == tok.BOS() {
		return tokens, nil
	}
	return withBOS(tok, tokens), nil
}

func addsBOS(tok engine.Tokenizer) bool { return tok.AddBOS() && tok.BOS() >= 0 }

func withBOS(tok engine.Tokenizer, tokens []engine.Token) []engine.Token {
	if !addsBOS(tok) {
		return slices.Clone(tokens)
	}
	return append([]engine.Token{tok.BOS()}, tokens...)
}

// predictNext returns the sequence in which every position from first on predicts the next token. The last position has
// none to predict.
func predictNext(tokens []engine.Token, first int) engine.Sequence {
	targets := make([]engine.Token, len(tokens))
	for i := range targets {
		if i >= first && i+1 < len(tokens) {
			targets[i] = tokens[i+1]
		} else {
			targets[i] = engine.Unscored
		}
	}
	return engine.Sequence{Tokens: tokens, Targets: targets}
}

// Tokens returns the number of tokens that one pass over the set runs.
func (s *Set) Tokens() int {
	n := 0
	for _, seq := range s.Sequences {
		n += len(seq.Tokens)
	}
	return n
}

// Scored returns the number of positions that count.
func (s *Set) Scored() int {
	n := 0
	for _, seq := range s.Sequences {
		n += seq.Scored()
	}
	return n
}

// Longest returns the length in tokens of the longest sequence.
func (s *Set) Longest() int {
	n := 0
	for _, seq := range s.Sequences {
		n = max(n, len(seq.Tokens))
	}
	return n
}

// SHA256 returns the hex hash that identifies the set whatever text it came from: of the convention's name, a zero byte,
// and for each sequence its length (uint32), tokens and targets (int32), all little endian.
func (s *Set) SHA256() string {
	h := sha256.New()
	h.Write(append([]byte(s.Convention), 0))
	var buf []byte
	for _, seq := range s.Sequences {
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(seq.Tokens)))
		for _, t := range slices.Concat(seq.Tokens, seq.Targets) {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(t))
		}
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Describe returns the set in one line for reports and plan files.
func (s *Set) Describe() string {
	return fmt.Sprintf("%s: %d sequences, %d tokens, context %d, convention %s",
		s.Corpus, len(s.Sequences), s.Tokens(), s.Context, s.Convention)
}
