package enginetest

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// vocabulary is the number of tokens: BOS, EOS and one for each value of a byte, modulo what is left.
const vocabulary = 64

// model is a GGUF file as a model.
type model struct {
	file    *gguf.File
	blocks  []engine.Block
	weights map[engine.Block][]string
	gone    engine.Mask // of a pruned file: it computes the source without these
	seed    uint64
}

func newModel(f *gguf.File) (*model, error) {
	m := &model{file: f, weights: map[engine.Block][]string{}}
	for _, t := range f.Tensors() {
		rest, ok := strings.CutPrefix(t.Name, "blk.")
		if !ok {
			continue
		}
		layer, name, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(layer)
		if err != nil || strings.Contains(name, "norm") {
			continue
		}
		b := engine.Block{Layer: n, Kind: engine.Mixer}
		if strings.HasPrefix(name, "ffn") {
			b.Kind = engine.FFN
		}
		m.weights[b] = append(m.weights[b], t.Name)
	}
	for b := range m.weights {
		m.blocks = append(m.blocks, b)
	}
	slices.SortFunc(m.blocks, blockmask.Compare)
	if s, ok, _ := f.Str("ggufprune.mask"); ok {
		var err error
		if m.gone, err = blockmask.ParseKey(s); err != nil {
			return nil, err
		}
	}
	return m, m.gone.WholeBlocks()
}

func (m *model) Info() engine.ModelInfo {
	layers, _, _ := m.file.Uint(m.file.Arch() + ".block_count")
	embd, _, _ := m.file.Uint(m.file.Arch() + ".embedding_length")
	return engine.ModelInfo{
		Arch: m.file.Arch(), Desc: "a test's model", NVocab: vocabulary, NLayer: int(layers), NEmbd: int(embd), NCtxTrain: 512,
		Params: m.file.Params(), Size: uint64(m.file.Bytes()), HasDecoder: true, HasVocab: true,
	}
}

func (m *model) BOS() engine.Token                   { return 1 }
func (m *model) EOS() engine.Token                   { return 2 }
func (m *model) AddBOS() bool                        { return true }
func (m *model) AddEOS() bool                        { return false }
func (m *model) EOG(t engine.Token) bool             { return t == 2 }
func (m *model) Close()                              { m.file.Close() }
func (m *model) Piece(t engine.Token, _ bool) string { return string(rune('a' + t%26)) }

func (m *model) Tokenize(text string, addSpecial, _ bool) ([]engine.Token, error) {
	var out []engine.Token
	if addSpecial {
		out = append(out, 1)
	}
	for _, b := range []byte(text) {
		out = append(out, 3+engine.Token(b)%(vocabulary-3))
	}
	return out, nil
}

func (m *model) Generate(_ context.Context, prompt string, n, _ int) (string, error) {
	return strings.Repeat("a", min(n, len(prompt))), nil
}

func (m *model) NewBench(engine.BenchParams) (engine.Bench, error) { return bench{}, nil }

// bench takes a microsecond for each token.
type bench struct{}

func (bench) Prompt(_ context.Context, n int) (time.Duration, error) {
	return time.Duration(n) * time.Microsecond, nil
}

func (bench) Generate(_ context.Context, n int) (time.Duration, error) {
	return time.Duration(n) * time.Microsecond, nil
}
func (bench) MemoryBytes() int64 { return 1 << 10 }
func (bench) Close()             {}

func (m *model) NewSession(_ context.Context, p engine.SessionParams) (engine.Session, error) {
	if p.NSeq < 1 || p.SeqLen < 1 {
		return nil, errors.New("a session of nothing")
	}
	return &session{m, p}, nil
}

// session runs sequences one after the other.
type session struct {
	m *model
	p engine.SessionParams
}

func (s *session) Blocks() []engine.Block {
	if s.p.Unedited {
		return nil
	}
	return s.m.blocks
}
func (s *session) Weights(b engine.Block) []string { return s.m.weights[b] }
func (s *session) BatchTokens() int                { return s.p.NSeq * s.p.SeqLen }
func (s *session) BatchSeqs() int                  { return s.p.NSeq }
func (s *session) Close()                          {}

// wholeBlocks refuses a mask that keeps a part of a block, as llamabind does.
func wholeBlocks(removed engine.Mask) error {
	if err := removed.WholeBlocks(); err != nil {
		return &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: err.Error()}
	}
	return nil
}

// logits are what the model without the blocks of removed says behind token t: each block that is missing moves them, more so in front.
func (s *session) logits(t engine.Token, removed engine.Mask) []float32 {
	out := make([]float32, vocabulary)
	gone := s.m.gone.Union(removed)
	for v := range out {
		out[v] = 4 * noise(s.m.seed, 1, uint64(t), uint64(v))
		for _, b := range gone {
			out[v] += 2 / float32(1+b.Layer) * noise(s.m.seed, 2+uint64(b.Kind), uint64(b.Layer)<<8|uint64(t), uint64(v))
		}
	}
	return out
}

// noise is a number between -0.5 and 0.5 that depends on its arguments alone.
func noise(parts ...uint64) float32 {
	h := fnv.New64a()
	for _, p := range parts {
		for i := range 8 {
			h.Write([]byte{byte(p >> (8 * i))})
		}
	}
	return float32(h.Sum64()>>40)/(1<<24) - 0.5
}

func (s *session) EvalPlain(ctx context.Context, batch []engine.Sequence, removed engine.Mask) ([][]float64, error) {
	if ctx.Err() != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: "evaluate", Text: "cancelled"}
	}
	if err := wholeBlocks(removed); err != nil {
		return nil, err
	}
	var out [][]float64
	for _, q := range batch {
		row := make([]float64, len(q.Tokens))
		for p, target := range q.Targets {
			if target >= 0 {
				row[p] = nll(s.logits(q.Tokens[p], removed), target)
			}
		}
		out = append(out, row)
	}
	return out, nil
}

func nll(logits []float32, target engine.Token) float64 {
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l))
	}
	return math.Log(sum) - float64(logits[target])
}

func (s *session) Eval(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, yield engine.Yield) error {
	for i := -1; i < len(candidates); i++ {
		mask := removed
		if i >= 0 {
			mask = removed.Union(candidates[i])
		}
		rows, err := s.EvalPlain(ctx, batch, mask)
		if err != nil {
			return err
		}
		if err := yield(i, rows); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Logits(ctx context.Context, batch []engine.Sequence, removed engine.Mask, row func(seq, pos int, logits []float32) error) error {
	if ctx.Err() != nil {
		return &engine.Error{Code: engine.Cancelled, Op: "evaluate", Text: "cancelled"}
	}
	if err := wholeBlocks(removed); err != nil {
		return err
	}
	for i, q := range batch {
		for p, target := range q.Targets {
			if target < 0 {
				continue
			}
			if err := row(i, p, s.logits(q.Tokens[p], removed)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Step implements engine.Stepper.
func (s *session) Step(ctx context.Context, in []engine.Next, row func(i int, logits []float32) error) error {
	if ctx.Err() != nil {
		return &engine.Error{Code: engine.Cancelled, Op: "evaluate", Text: "cancelled"}
	}
	for i, n := range in {
		if err := row(i, s.logits(n.Token, nil)); err != nil {
			return err
		}
	}
	return nil
}
