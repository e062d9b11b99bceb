package fit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// noteBefore is the held part's NLL before the repair, and noteKinds that of each kind of text where these are told apart.
const (
	noteBefore = "repair/before"
	noteKinds  = "repair-kinds"
)

// done is what the log says of a block.
type done struct {
	Blocks  []Block   `json:"projections"`        // what became of them
	Tensors []string  `json:"tensors"`            // whose weights were kept
	Cut     *Narrowed `json:"narrowed,omitempty"` // of a block that lost channels; its Data are weights under narrowedKey
	Waits   bool      `json:"waits"`              // nothing yet: it is repaired with the next block

	block blockmask.Block // that the note is of
}

func noteOf(b blockmask.Block) string { return "repair/" + b.String() }

// narrowedKey is the name under which the log has what a file holds of a tensor that lost columns. Its own name is for what the loaded
// model has.
func narrowedKey(tensor string) string { return "narrowed/" + tensor }

// keep writes down that a block is done. Of the result's blocks those from index from on are its, and had are the tensors that were
// changed before.
func (s *state) keep(b blockmask.Block, from int, had map[string]bool) error {
	if s.Log == nil {
		return nil
	}
	d := done{Blocks: s.res.Blocks[from:], Waits: s.waiting != nil}
	for name, data := range s.res.Weights {
		if had[name] {
			continue
		}
		if err := s.Log.KeepWeights(name, data); err != nil {
			return err
		}
		d.Tensors = append(d.Tensors, name)
	}
	slices.Sort(d.Tensors)
	if n, ok := s.res.Narrowed[b]; ok {
		if err := s.Log.KeepWeights(narrowedKey(n.Tensor), n.Data); err != nil {
			return err
		}
		d.Cut = &n
	}
	return s.Log.SetNote(noteOf(b), d)
}

// names are the tensors that were changed so far.
func (s *state) names() map[string]bool {
	out := map[string]bool{}
	for name := range s.res.Weights {
		out[name] = true
	}
	return out
}

// logged are the blocks that the log is done with, from the first of kept on, and the weights that they got.
func (s *state) logged(blocks []blockmask.Block, kept []int) (known []done, weights map[string][]byte, err error) {
	weights = map[string][]byte{}
	if s.Log == nil || json.Unmarshal(s.Log.Note(noteBefore), &s.res.NLLBefore) != nil {
		return nil, weights, nil
	}
	if s.HeldOf != nil && json.Unmarshal(s.Log.Note(noteKinds), &s.res.Kinds) != nil {
		return nil, weights, nil
	}
	defer func() {
		for len(known) > 0 && known[len(known)-1].Waits { // what waits is run again with what it waits for
			known = known[:len(known)-1]
		}
	}()
	for _, at := range kept {
		var d done
		if raw := s.Log.Note(noteOf(blocks[at])); raw == nil || json.Unmarshal(raw, &d) != nil {
			return known, weights, nil
		}
		for i := range d.Blocks {
			for _, x := range []*jsonnum.Float{&d.Blocks[i].Before, &d.Blocks[i].After} {
				if *x == -1 { // an earlier version's null
					*x = jsonnum.Float(math.Inf(1))
				}
			}
		}
		of := map[string][]byte{}
		for _, name := range d.Tensors {
			data, err := s.Log.Weights(name)
			if err != nil || data == nil {
				return known, weights, err
			}
			of[name] = data
		}
		if d.Cut != nil {
			var err error
			if d.Cut.Data, err = s.Log.Weights(narrowedKey(d.Cut.Tensor)); err != nil || d.Cut.Data == nil {
				return known, weights, err
			}
		}
		d.block = blocks[at]
		maps.Copy(weights, of)
		known = append(known, d)
	}
	return known, weights, nil
}

// recall puts what the log is done with into the model and the result.
func (s *state) recall(known []done, weights map[string][]byte) error {
	for name, data := range weights {
		s.res.Weights[name] = data
		if err := s.e.SetWeight(name, data); err != nil {
			return err
		}
	}
	for _, d := range known {
		s.res.Blocks = append(s.res.Blocks, d.Blocks...)
		if d.Cut != nil {
			s.res.narrow(d.block, *d.Cut)
		}
	}
	return nil
}

// Digest identifies the batches of a repair.
func Digest(parts ...[][]engine.Sequence) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d batches\n", len(part))
		for _, batch := range part {
			fmt.Fprintf(h, "%d sequences\n", len(batch))
			for _, q := range batch {
				_ = binary.Write(h, binary.LittleEndian, q.Tokens) // a hash takes everything
				_ = binary.Write(h, binary.LittleEndian, uint64(math.MaxUint64))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
