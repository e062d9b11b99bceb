package search

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// A mask of few bytes is not kept as the thousands of blocks that it names, and one of more blocks than any model has ends the journal.
func TestMasksOfManyBlocks(t *testing.T) {
	for mask, want := range map[string]int{"attn:0-2047,ffn:0-2047": 20, "attn:0-2047,ffn:0-2048": 0} {
		line := []byte(`{"mask":"` + mask + `","seqs":[0],"loss":[1]}`)
		var records []Measurement
		for range 20 {
			var m Measurement
			if json.Unmarshal(line, &m) != nil {
				break
			}
			records = append(records, m)
		}
		if len(records) != want || want > 0 && string(records[0].Mask) != mask {
			t.Errorf("%s: %d records, want %d", mask, len(records), want)
		}
		size := 0
		for _, m := range records {
			size += len(m.Mask)
		}
		if size > len(records)*len(line) {
			t.Errorf("%s: masks of %d bytes from %d records", mask, size, len(records))
		}
	}
}

// FuzzMeasurement reads any records of a search's journal, one to a line, as package journal does: up to the first that makes no sense.
// What was read can be written and read again, and counts as measurements of no more sequences than there are.
func FuzzMeasurement(f *testing.F) {
	for _, record := range []string{
		`{"part":"","mask":"attn:3","seqs":[0,3],"loss":[1.5,null]}`,
		`{"part":"p","mask":{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"0-3"}]},"seqs":[1],"loss":[1e300]}`,
		`{"mask":null,"seqs":[-1,8,9223372036854775807],"loss":[1,2,3]}`,
		`{"mask":"attn:0-65535,ffn:0-65535","seqs":[0],"loss":[1]}`,
		`{"seqs":[0,0],"loss":["NaN","inf"]}`,
		`{"seqs":[],"loss":[]}`,
	} {
		f.Add([]byte(record))
		f.Add(bytes.Repeat([]byte(record+"\n"), 50))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return // of the largest mask that is read a hundred bytes make 200 KB for a moment
		}
		fuzztest.Bounded(t, len(data), func() {
			var records []Measurement
			for line := range bytes.SplitSeq(data, []byte("\n")) {
				var m Measurement
				if json.Unmarshal(line, &m) != nil || !m.Valid() {
					break
				}
				records = append(records, m)
			}
			for part, n := range map[string]int{"": 8, "p": 1} {
				for key, losses := range replay(records, part, n) {
					if len(losses) != n {
						t.Errorf("%q has %d losses of %d", key, len(losses), n)
					}
				}
			}
			for _, m := range records {
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				var back Measurement
				if err := json.Unmarshal(text, &back); err != nil || !back.Valid() || back.Mask != m.Mask {
					t.Errorf("%s became %+v, %v", text, back, err)
				}
			}
		})
	})
}
