package modelref

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
)

// text reads a small layer, and checks it against its digest.
func (s ollamaStore) text(blob string, l layer) ([]byte, error) {
	text, err := readLimited(blob)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.broken("its file %s is missing", blob)
	}
	if err != nil {
		return nil, s.broken("its file %s cannot be read: %v", blob, err)
	}
	if sum := sha256.Sum256(text); "sha256:"+hex.EncodeToString(sum[:]) != l.Digest {
		return nil, s.broken("its file %s does not have the digest that is its name: it was changed", blob)
	}
	return text, nil
}

// config reads what Ollama keeps in the model's configuration. An old model may have none. remote is the host that runs a cloud
// model, which has no weights here.
func (s ollamaStore) config(o *Ollama, l layer) (remote string, err error) {
	if l.Digest == "" {
		return "", nil
	}
	blob, err := s.blob(l)
	if err != nil {
		return "", err
	}
	text, err := s.text(blob, l)
	if err != nil {
		return "", err
	}
	var c struct {
		Renderer string `json:"renderer"`
		Parser   string `json:"parser"`
		Host     string `json:"remote_host"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return "", s.broken("its configuration %s is damaged: %v", blob, err)
	}
	o.Renderer, o.Parser = c.Renderer, c.Parser
	return c.Host, nil
}

// readLimited reads a file that ought to be small.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLayerText+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(text) > maxLayerText {
		return nil, errors.New("it is too large to be one")
	}
	return text, nil
}

// bare takes the path off an error of package os: the message around it has it.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
