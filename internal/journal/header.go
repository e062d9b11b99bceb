package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Header says what a journal is of. A journal is used only by a run with the same header, to the byte.
type Header struct {
	ModelSHA256  string          `json:"model_sha256"`
	TokensSHA256 string          `json:"tokens_sha256"`
	Config       json.RawMessage `json:"config"` // everything else that the outcome depends on
	Tool         string          `json:"tool"`
	LlamaCpp     string          `json:"llama_cpp"`
}

// Owner says whose a journal is, for messages: the job that keeps it, and the file beside which it lies.
type Owner struct {
	Job  string // "search"
	File string // "plan"
}

type headerRecord struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Header
}

const (
	format  = "ggufprune-journal"
	version = 1
)

// ForeignError says that a journal belongs to another run.
type ForeignError struct {
	Path  string
	What  string // differs
	Owner Owner
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("the journal %s is of another %s: %s differs; delete it to start anew, or give the %s another name",
		e.Path, e.Owner.Job, e.What, e.Owner.File)
}

// ErrLocked is wrapped by the error about a journal that another process writes.
var ErrLocked = errors.New("in use")

// difference names the first field in which the header of a journal's bytes is not h.
func difference(data []byte, h Header) string {
	head, _, _ := bytes.Cut(data, []byte("\n"))
	body, ok := unwrap(append(bytes.Clone(head), '\n'))
	var found headerRecord
	if !ok || json.Unmarshal(body, &found) != nil || found.Format != format {
		return "the file is no journal, or its first line is damaged; its format"
	}
	switch {
	case found.Version != version:
		return "its version"
	case found.ModelSHA256 != h.ModelSHA256:
		return "the model"
	case found.TokensSHA256 != h.TokensSHA256:
		return "the calibration text"
	case found.LlamaCpp != h.LlamaCpp:
		return "the version of llama.cpp"
	case found.Tool != h.Tool:
		return "the version of this program"
	}
	return "what was asked for"
}
