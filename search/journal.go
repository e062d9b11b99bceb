package search

// The journal of a search: what was measured so far, so that nothing is lost when the program ends at any moment.
//
// It is a text file. Each line is a JSON object with a record and its CRC-32C (of the bytes of "r", in hex):
//
//	{"crc32c":"1c291ca3","r":{...}}
//
// The first record says what the measurements are of; a journal belongs to one model, one calibration set, one configuration
// and one version of the program and of llama.cpp:
//
//	{"format":"ggufprune-journal","version":1,"model_sha256","tokens_sha256","config":{...},"tool","llama_cpp"}
//
// Every other record is the result of one run of a batch: the sums of the losses of some sequences under a mask, null for one
// that is not finite, in the order in which they were measured; or a decision that does not follow from measurements ("note").
//
//	{"part":"","mask":"attn:3,ffn:7-9","seqs":[0,4,5],"loss":[310.25,288.5,null]}
//	{"note":"schedule","value":{...}}
//
// A line is written in one call. What follows the first line that is incomplete or has another checksum is cut off when the
// journal is opened: it costs measurements, never correctness. Nothing but measurements and notes is kept: a resumed search
// repeats its decisions from the start, with the same numbers.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Header says what a journal is of.
type Header struct {
	ModelSHA256  string          `json:"model_sha256"`
	TokensSHA256 string          `json:"tokens_sha256"`
	Config       json.RawMessage `json:"config"` // everything else that decisions depend on
	Tool         string          `json:"tool"`
	LlamaCpp     string          `json:"llama_cpp"`
}

type headerRecord struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Header
}

const (
	journalFormat  = "ggufprune-journal"
	journalVersion = 1
	maxJournal     = 4 << 30 // bytes
)

// measurement is one run of a batch.
type measurement struct {
	Part      string
	Mask      blockmask.Mask
	Sequences []int
	Losses    []float64
}

// record is any line but the first.
type record struct {
	Part  *string         `json:"part,omitempty"`
	Mask  *blockmask.Mask `json:"mask,omitempty"`
	Seqs  []int           `json:"seqs,omitempty"`
	Loss  []*float64      `json:"loss,omitempty"`
	Note  string          `json:"note,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// ForeignJournalError says that a journal belongs to another search.
type ForeignJournalError struct {
	Path string
	What string // differs
}

func (e *ForeignJournalError) Error() string {
	return fmt.Sprintf("the journal %s is of another search: %s differs; delete it to start anew, or give the plan another name", e.Path, e.What)
}

// ErrLocked is wrapped by the error about a journal that another process writes.
var ErrLocked = errors.New("in use")

// Journal is an open journal. Its methods do nothing on a nil Journal. It is not safe for concurrent use.
type Journal struct {
	path  string
	lock  *flock.Flock
	file  *os.File
	found []measurement
	notes map[string]json.RawMessage
	dirty bool
	err   error // of the first write that failed: nothing is written after it

	Cut int64 // bytes of a torn tail that were cut off
}

// OpenJournal opens the journal at path, or creates it, and locks it until Close. A journal with another header is a
// [ForeignJournalError], one that another process has open is [ErrLocked].
func OpenJournal(path string, h Header) (*Journal, error) {
	j := &Journal{path: path, lock: flock.New(path, flock.SetPermissions(0o644)), notes: map[string]json.RawMessage{}}
	ok, err := j.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("the journal %s is %w by another run; wait for it, or give the plan another name", path, ErrLocked)
	}
	if err := j.open(h); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

func (j *Journal) open(h Header) error {
	var err error
	if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	// A run that ended in between has removed its journal: the lock is then on a file without a name.
	mine, err := j.lock.Stat()
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if now, err := j.file.Stat(); err != nil || !os.SameFile(mine, now) {
		return fmt.Errorf("the journal %s is %w by another run; try again", j.path, ErrLocked)
	}
	data, err := io.ReadAll(io.LimitReader(j.file, maxJournal))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	first, err := line(headerRecord{Format: journalFormat, Version: journalVersion, Header: h})
	if err != nil {
		return err
	}
	if len(data) < len(first) && bytes.HasPrefix(first, data) {
		return j.start(first) // empty, or the first line is torn
	}
	if !bytes.HasPrefix(data, first) {
		return &ForeignJournalError{Path: j.path, What: difference(data, h)}
	}
	end := len(first) + j.read(data[len(first):])
	j.Cut = int64(len(data) - end)
	if err := j.file.Truncate(int64(end)); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	_, err = j.file.Seek(int64(end), io.SeekStart)
	return err
}

// start makes the journal new.
func (j *Journal) start(first []byte) error {
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err := j.file.WriteAt(first, 0); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err := j.file.Seek(int64(len(first)), io.SeekStart); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return syncFolder(filepath.Dir(j.path))
}

// read takes over the records of data up to the first bad line, and returns where that begins.
func (j *Journal) read(data []byte) int {
	at := 0
	for at < len(data) {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			break
		}
		var rec record
		if body, ok := unwrap(data[at : at+n+1]); !ok || json.Unmarshal(body, &rec) != nil || !j.take(rec) {
			break
		}
		at += n + 1
	}
	return at
}

// take keeps a record; false if it makes no sense.
func (j *Journal) take(rec record) bool {
	if rec.Note != "" {
		j.notes[rec.Note] = rec.Value
		return true
	}
	if rec.Part == nil || rec.Mask == nil || len(rec.Seqs) != len(rec.Loss) {
		return false
	}
	m := measurement{Part: *rec.Part, Mask: *rec.Mask, Sequences: rec.Seqs}
	for _, x := range rec.Loss {
		m.Losses = append(m.Losses, fromJSON(x))
	}
	j.found = append(j.found, m)
	return true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// line returns a record as a line of the journal.
func line(rec any) ([]byte, error) {
	body, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return fmt.Appendf(nil, "{\"crc32c\":\"%08x\",\"r\":%s}\n", crc32.Checksum(body, castagnoli), body), nil
}

// unwrap returns the record's bytes of a line, false if the line is not what was written.
func unwrap(text []byte) ([]byte, bool) {
	const head, tail = len(`{"crc32c":"`) + 8 + len(`","r":`), len("}\n")
	if len(text) < head+tail {
		return nil, false
	}
	body := text[head : len(text)-tail]
	want := fmt.Appendf(nil, "{\"crc32c\":\"%08x\",\"r\":%s}\n", crc32.Checksum(body, castagnoli), body)
	return body, bytes.Equal(text, want)
}

// difference names the first field in which a journal's header is not h.
func difference(data []byte, h Header) string {
	head, _, _ := bytes.Cut(data, []byte("\n"))
	body, ok := unwrap(append(bytes.Clone(head), '\n'))
	var found headerRecord
	if !ok || json.Unmarshal(body, &found) != nil || found.Format != journalFormat {
		return "the file is no journal, or its first line is damaged; its format"
	}
	switch {
	case found.Version != journalVersion:
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

// Found returns the number of measurements that the journal had when it was opened.
func (j *Journal) Found() int {
	if j == nil {
		return 0
	}
	return len(j.found)
}

// losses returns the measurements of part on n sequences, by mask; NaN = not measured. The first of several counts.
func (j *Journal) losses(part string, n int) map[string][]float64 {
	out := map[string][]float64{}
	for _, m := range j.found {
		inside := true
		for _, i := range m.Sequences {
			inside = inside && i >= 0 && i < n
		}
		if m.Part == part && inside {
			keep(out, m.Mask.Key(), n, m.Sequences, m.Losses)
		}
	}
	return out
}

func (j *Journal) append(m measurement) error {
	if j == nil {
		return nil
	}
	if m.Mask == nil {
		m.Mask = blockmask.Mask{}
	}
	rec := record{Part: &m.Part, Mask: &m.Mask, Seqs: m.Sequences}
	for _, x := range m.Losses {
		rec.Loss = append(rec.Loss, toJSON(x))
	}
	return j.write(rec)
}

func (j *Journal) write(rec record) error {
	if j.err != nil {
		return j.err
	}
	text, err := line(rec)
	if err == nil {
		_, err = j.file.Write(text)
	}
	if err != nil {
		j.err = fmt.Errorf("journal: %w", err)
		return j.err
	}
	j.dirty = true
	return nil
}

// Note returns what [Journal.SetNote] kept under name, nil if nothing.
func (j *Journal) Note(name string) json.RawMessage {
	if j == nil {
		return nil
	}
	return j.notes[name]
}

// Notes counts the notes whose names begin with prefix.
func (j *Journal) Notes(prefix string) (n int) {
	if j == nil {
		return 0
	}
	for name := range j.notes {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// SetNote keeps a decision that does not follow from measurements, such as one that depends on the machine's speed, so that a
// resumed search makes the same. It is on disk when SetNote returns.
func (j *Journal) SetNote(name string, value any) error {
	if j == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.notes[name] = raw
	if err := j.write(record{Note: name, Value: raw}); err != nil {
		return err
	}
	return j.Sync()
}

// Sync brings everything that was appended to disk.
func (j *Journal) Sync() error {
	if j == nil || !j.dirty {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.dirty = false
	return nil
}

// Close gives the journal free. It stays for a later run; see [Journal.Remove].
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	var err error
	if j.file != nil {
		err = errors.Join(j.Sync(), j.file.Close())
	}
	return errors.Join(err, j.lock.Close())
}

// Remove deletes the journal, when the plan that it led to is on disk, and closes it.
func (j *Journal) Remove() error {
	if j == nil {
		return nil
	}
	return errors.Join(os.Remove(j.path), j.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
