package perplexity

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// Whatever the bytes, reading ends in documents or in one line of error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"text":"a"},{"instruction":"b","output":"c"}]`), "x.json")
	f.Add([]byte(`{"conversations":[{"from":"human","value":"a"}]}`+"\n{"), "x.jsonl")
	f.Add([]byte("plain\xff"), "x")
	f.Add([]byte("\xef\xbb\xbf{\"text\":\"a\"}\r\n"), "x")
	f.Add([]byte("[[[[{\"text\":7}]"), "x.ndjson")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		fuzztest.Bounded(t, len(data), func() {
			c, err := Read(bytes.NewReader(data), name, Auto)
			if err != nil {
				if !strings.ContainsAny(name, "\r\n") {
					fuzztest.OneLine(t, err, len(name)+6*len(data))
				}
				return
			}
			if strings.TrimSpace(c.Text()) == "" {
				t.Errorf("%q gave a blank corpus", data)
			}
			if c.Turns != nil && len(c.Turns) != len(c.Documents) {
				t.Errorf("%d documents, %d of turns", len(c.Documents), len(c.Turns))
			}
			if c.Continuous && len(c.Documents) != 1 {
				t.Errorf("a text is %d documents", len(c.Documents))
			}
		})
	})
}
