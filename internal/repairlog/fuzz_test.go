package repairlog

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/internal/journal"
)

// FuzzWeights reads weights where any note of a repair's journal says that they are. They are there with the note's checksum, or there
// are none.
func FuzzWeights(f *testing.F) {
	note := func(offset, size int64, data string) string {
		return fmt.Sprintf(`{"offset":%d,"size":%d,"crc32c":%d}`, offset, size, crc32.Checksum([]byte(data), castagnoli))
	}
	f.Add(note(0, 4, "good"), []byte("good"))
	f.Add(note(1, 3, "ood"), []byte("good"))
	f.Add(note(0, math.MaxInt64, ""), []byte("good"))
	f.Add(note(math.MaxInt64, 1, ""), []byte("good"))
	f.Add(note(math.MaxInt64, math.MaxInt64, ""), []byte("good"))
	f.Add(note(-1, math.MinInt64, ""), []byte("good"))
	f.Add(note(0, 0, ""), []byte{})
	f.Add(`{"offset":1e30,"size":null,"crc32c":-1}`, []byte("x"))
	f.Add(`null`, []byte("x"))
	output := filepath.Join(f.TempDir(), "out.gguf")
	head := journal.Header{ModelSHA256: "m", Config: json.RawMessage("{}")}
	f.Fuzz(func(t *testing.T, note string, weights []byte) {
		if !json.Valid([]byte(note)) {
			return // the journal keeps only JSON
		}
		path, data := Paths(output)
		if err := os.WriteFile(data, weights, 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(data)
		defer os.Remove(path)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open[journal.OnlyNotes](path, head, owner)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.SetNote(weightsKey("x"), json.RawMessage(note)); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		fuzztest.Bounded(t, len(note)+len(weights), func() {
			l, err := Open(output, head, false)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			got, err := l.Weights("x")
			if err != nil {
				t.Fatal(err)
			}
			var n weightsNote
			if got != nil && (json.Unmarshal([]byte(note), &n) != nil || int64(len(got)) != n.Size || crc32.Checksum(got, castagnoli) != n.CRC32C) {
				t.Errorf("%s of %q gave %q", note, weights, got)
			}
			if err := l.KeepWeights("y", []byte("more")); err != nil {
				t.Fatal(err)
			}
			if more, err := l.Weights("y"); err != nil || string(more) != "more" {
				t.Errorf("what was kept is %q, %v", more, err)
			}
		})
	})
}
