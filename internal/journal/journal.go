// Package journal keeps what a long job has done so far, so that nothing is lost when the program ends at any moment.
//
// A journal is a text file. Each line is a JSON object with a record and its CRC-32C (of the bytes of "r", in hex):
//
//	{"crc32c":"1c291ca3","r":{...}}
//
// The first record is the [Header]: what the journal is of. It belongs to one model, one text, one configuration and one version of
// the program and of llama.cpp:
//
//	{"format":"ggufprune-journal","version":1,"model_sha256","tokens_sha256","config":{...},"tool","llama_cpp"}
//
// Every other record is a note, which gives a name a value, or a record of the job's own kind:
//
//	{"note":"schedule","value":{...}}
//
// A line is written in one call. What follows the first line that is incomplete or has another checksum is cut off when the
// journal is opened. That costs work, never correctness. One process at a time has a journal open.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// Record is a job's own kind of record, which encoding/json writes and reads.
type Record interface {
	// Valid reports whether a record that was read makes sense. One that does not ends the journal as a torn line does.
	Valid() bool
}

// OnlyNotes is the kind of a journal that has no records but notes.
type OnlyNotes struct{}

// Valid returns false: there are no such records.
func (OnlyNotes) Valid() bool { return false }

// note is a record that gives a name a value.
type note struct {
	Name  string          `json:"note,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

const maxSize = 4 << 30 // bytes

// Journal is an open journal whose records are of kind R. Its methods do nothing on a nil Journal. It is not safe for concurrent use.
type Journal[R Record] struct {
	path  string
	owner Owner
	lock  *flock.Flock
	file  *os.File
	found []R
	added int // records since it was opened
	notes map[string]json.RawMessage
	dirty bool
	err   error // of the first write that failed: nothing is written after it

	Cut int64 // bytes of a torn tail that were cut off
}

// Open opens the journal at path, or creates it, and locks it until Close. A journal with another header is a [ForeignError], one
// that another process has open is [ErrLocked].
func Open[R Record](path string, h Header, owner Owner) (*Journal[R], error) {
	j := &Journal[R]{path: path, owner: owner, lock: flock.New(path, flock.SetPermissions(0o644)), notes: map[string]json.RawMessage{}}
	ok, err := j.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("the journal %s is %w by another run; wait for it, or give the %s another name", path, ErrLocked, owner.File)
	}
	if err := j.open(h); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

func (j *Journal[R]) open(h Header) error {
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
	data, err := io.ReadAll(io.LimitReader(j.file, maxSize))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	first, err := line(headerRecord{Format: format, Version: version, Header: h})
	if err != nil {
		return err
	}
	if len(data) < len(first) && bytes.HasPrefix(first, data) {
		return j.start(first) // empty, or the first line is torn
	}
	if !bytes.HasPrefix(data, first) {
		return &ForeignError{Path: j.path, What: difference(data, h), Owner: j.owner}
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
func (j *Journal[R]) start(first []byte) error {
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
	if err := (outfile.System{}).SyncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// read takes over the records of data up to the first bad line, and returns where that begins.
func (j *Journal[R]) read(data []byte) int {
	at := 0
	for at < len(data) {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			break
		}
		if body, ok := unwrap(data[at : at+n+1]); !ok || !j.take(body) {
			break
		}
		at += n + 1
	}
	return at
}

// take keeps the record that body encodes; false if it makes no sense.
func (j *Journal[R]) take(body []byte) bool {
	var n note
	if json.Unmarshal(body, &n) != nil {
		return false
	}
	if n.Name != "" {
		j.notes[n.Name] = n.Value
		return true
	}
	var r R
	if json.Unmarshal(body, &r) != nil || !r.Valid() {
		return false
	}
	j.found = append(j.found, r)
	return true
}

// Path returns where the journal lies.
func (j *Journal[R]) Path() string {
	if j == nil {
		return ""
	}
	return j.path
}

// Records returns the records that the journal had when it was opened, in their order. The caller must not change them.
func (j *Journal[R]) Records() []R {
	if j == nil {
		return nil
	}
	return j.found
}

// Append writes a record. It is on disk after the next [Journal.Sync].
func (j *Journal[R]) Append(r R) error {
	if j == nil {
		return nil
	}
	if err := j.write(r); err != nil {
		return err
	}
	j.added++
	return nil
}

// Len counts the records, those appended since the journal was opened included.
func (j *Journal[R]) Len() int {
	if j == nil {
		return 0
	}
	return len(j.found) + j.added
}

func (j *Journal[R]) write(record any) error {
	if j.err != nil {
		return j.err
	}
	text, err := line(record)
	if err == nil {
		if _, err = j.file.Write(text); err != nil {
			err = fmt.Errorf("journal: %w", err)
		}
	}
	if err != nil {
		j.err = err
		return err
	}
	j.dirty = true
	return nil
}

// Note returns what [Journal.SetNote] kept under name, nil if nothing.
func (j *Journal[R]) Note(name string) json.RawMessage {
	if j == nil {
		return nil
	}
	return j.notes[name]
}

// Notes counts the notes whose names begin with prefix.
func (j *Journal[R]) Notes(prefix string) (n int) {
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

// SetNote keeps a value under a name, in place of an earlier one: a decision that does not follow from the records, such as one that
// depends on the machine's speed, so that a run that goes on makes the same. It is on disk when SetNote returns.
func (j *Journal[R]) SetNote(name string, value any) error {
	if j == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.notes[name] = raw
	if err := j.write(note{Name: name, Value: raw}); err != nil {
		return err
	}
	return j.Sync()
}

// Sync brings everything that was appended to disk.
func (j *Journal[R]) Sync() error {
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
func (j *Journal[R]) Close() error {
	if j == nil {
		return nil
	}
	var err error
	if j.file != nil {
		err = errors.Join(j.Sync(), j.file.Close())
	}
	return errors.Join(err, j.lock.Close())
}

// Remove deletes the journal, when what it led to is on disk, and closes it.
func (j *Journal[R]) Remove() error {
	if j == nil {
		return nil
	}
	return errors.Join(os.Remove(j.path), j.Close())
}
