package realbench

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ggufprune/ggufprune/internal/journal"
)

// result is one finished measurement, a line of the book:
//
//	{"part":"ppl","model":SHA-256,"method":"width","ratio":0.2,"file":SHA-256,"settings":{"c":"2048",...},"value":{...},"when":...}
//
// What makes a file is known by model, method, ratio and settings. What is measured of a file is known by the model, the file and the
// settings: it stays true whatever the file was made by, and is measured again where the file has become another. Of several results
// that are of the same, the last one counts.
type result struct {
	key
	Value json.RawMessage `json:"value"`
	When  time.Time       `json:"when"`
}

// key says what a result is of.
type key struct {
	Part     string   `json:"part"`
	Model    string   `json:"model"`
	Method   string   `json:"method"`
	Ratio    float64  `json:"ratio,omitempty"`
	File     string   `json:"file,omitempty"` // "" of what makes one
	Settings settings `json:"settings"`
}

// settings are all that a value depends on, and that the user can set otherwise.
type settings map[string]string

// Valid reports whether a result is one.
func (r result) Valid() bool { return r.Part != "" && r.Model != "" && len(r.Value) > 0 }

// id is the same for all results of the same.
func (k key) id() string {
	if k.File != "" {
		k.Method, k.Ratio = "", 0
	}
	data, err := json.Marshal(k) // maps are written in the order of their keys
	if err != nil {
		panic(err) // strings and a number that was read from text
	}
	return string(data)
}

// book is what was measured so far.
type book struct {
	journal *journal.Journal[result]
	values  map[string][]json.RawMessage
}

// openBook opens the book of a folder, or begins one. One run at a time has it open.
func openBook(path string) (*book, error) {
	config, err := json.Marshal(map[string]string{"bench": "real"})
	if err != nil {
		return nil, err
	}
	j, err := journal.Open[result](path, journal.Header{Config: config}, journal.Owner{Job: "bench", File: "folder"})
	if err != nil {
		return nil, err
	}
	b := &book{j, map[string][]json.RawMessage{}}
	for _, r := range j.Records() {
		b.values[r.id()] = append(b.values[r.id()], r.Value)
	}
	return b, nil
}

// readBook reads what a run that may be under way has measured: a copy, to which what is added is lost.
func readBook(path string) (*book, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: nothing was measured yet; run the other parts first", path)
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ggufprune-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	replica := filepath.Join(dir, "results")
	if err := os.WriteFile(replica, data, 0o600); err != nil {
		return nil, err
	}
	b, err := openBook(replica)
	if err != nil {
		return nil, err
	}
	defer b.journal.Close()
	return &book{nil, b.values}, nil
}

// find reads the last result of k into value; false where there is none.
func (b *book) find(k key, value any) bool {
	all := b.values[k.id()]
	return len(all) > 0 && json.Unmarshal(all[len(all)-1], value) == nil
}

// all are the values of all results of k.
func (b *book) all(k key) []json.RawMessage { return b.values[k.id()] }

// add appends a result; it is on disk when add returns.
func (b *book) add(k key, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := b.journal.Append(result{k, raw, time.Now().UTC().Truncate(time.Second)}); err != nil {
		return err
	}
	b.values[k.id()] = append(b.values[k.id()], raw)
	return b.journal.Sync()
}

// short tells files of different keys apart.
func (k key) short() string {
	sum := sha256.Sum256([]byte(k.id()))
	return hex.EncodeToString(sum[:4])
}
