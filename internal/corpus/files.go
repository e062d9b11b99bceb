package corpus

import (
	"bytes"
	"io"
	"os"
	"sync"

	"github.com/ggufprune/ggufprune/perplexity"
)

// Files keeps the user's texts, so that each is read once: a search takes hours, and what measures its result at the end must be the text that
// it began with. A pipe can be read once only, and a file may change or go meanwhile. Nil keeps nothing.
type Files struct {
	mu   sync.Mutex
	read map[string][]byte
}

// NewFiles returns Files without texts.
func NewFiles() *Files { return &Files{read: map[string][]byte{}} }

// corpus reads the text at path, from what is kept of it if that is there.
func (f *Files) corpus(path string) (*perplexity.Corpus, error) {
	if f == nil {
		return perplexity.ReadFile(path, perplexity.Auto)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if data, ok := f.read[path]; ok {
		return perplexity.Read(bytes.NewReader(data), path, perplexity.Auto)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var data bytes.Buffer
	c, err := perplexity.Read(io.TeeReader(file, &data), path, perplexity.Auto)
	if err == nil {
		f.read[path] = data.Bytes()
	}
	return c, err
}

// Keep reads the files, which may be none, so that a later [Text.Read] of them has no need of them any more.
func (t Text) Keep(files ...string) error {
	for _, t.File = range files {
		if _, err := t.Read(); err != nil {
			return err
		}
	}
	return nil
}
