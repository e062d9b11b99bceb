package search

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Journal keeps measurements, so that a search that was interrupted goes on from them: a journal.Journal[Measurement] does, in a file.
// Nothing but measurements and notes is kept. A search that is resumed repeats its decisions from the start, with the same numbers.
type Journal interface {
	Records() []Measurement // what was there when it was opened
	Append(Measurement) error
	Sync() error // brings what was appended to disk
}

// Measurement is what one run of a batch gave: the sums of the losses of some sequences under a mask, in the order in which they were
// measured.
type Measurement struct {
	Part      string          `json:"part"` // tells sources apart that share a journal
	Mask      MaskKey         `json:"mask"`
	Sequences []int           `json:"seqs"`
	Losses    []jsonnum.Float `json:"loss"` // nats
}

// MaskKey is a mask as its key ([blockmask.Mask.Key]). JSON has it as the mask. A few bytes can name thousands of blocks, so the many masks
// of a journal are kept no larger than they stand there.
type MaskKey string

const maxBlocks = 4096 // llama.cpp stops at 512 layers

// MarshalJSON writes the mask.
func (k MaskKey) MarshalJSON() ([]byte, error) {
	if strings.HasPrefix(string(k), "{") {
		return []byte(k), nil
	}
	return json.Marshal(string(k))
}

// UnmarshalJSON reads a mask of as many blocks as a model may have.
func (k *MaskKey) UnmarshalJSON(data []byte) error {
	var m blockmask.Mask
	if err := m.UnmarshalJSON(data); err != nil {
		return err
	}
	if len(m) > maxBlocks {
		return fmt.Errorf("a mask of %d blocks; no model has as many", len(m))
	}
	*k = MaskKey(m.Key())
	return nil
}

// Valid reports whether every sequence has its loss.
func (m Measurement) Valid() bool { return len(m.Sequences) > 0 && len(m.Sequences) == len(m.Losses) }

func newMeasurement(part string, m blockmask.Mask, batch []int, losses []float64) Measurement {
	out := Measurement{Part: part, Mask: MaskKey(m.Key()), Sequences: batch, Losses: make([]jsonnum.Float, len(losses))}
	for i, x := range losses {
		out.Losses[i] = jsonnum.Float(x)
	}
	return out
}

// replay returns the measurements of part on n sequences, by mask; NaN = not measured. The first of several counts.
func replay(records []Measurement, part string, n int) map[string][]float64 {
	out := map[string][]float64{}
	for _, m := range records {
		inside := true
		losses := make([]float64, len(m.Losses))
		for i, s := range m.Sequences {
			inside = inside && s >= 0 && s < n
			losses[i] = float64(m.Losses[i])
		}
		if m.Part == part && inside {
			keep(out, string(m.Mask), n, m.Sequences, losses)
		}
	}
	return out
}
