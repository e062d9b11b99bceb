// Package repairlog keeps what a repair is done with, so that one that was interrupted goes on from there.
package repairlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/outfile"
)

// Log is the log of one repair. It is two files: a journal (see package journal), whose notes say what became of each block, and the
// new weights, one after the other, to which the journal's notes point. It implements fit.Log.
type Log struct {
	*journal.Journal[journal.OnlyNotes]
	weights *os.File
	end     int64 // of the weights

	Replaced bool // what another repair had left
}

// weightsNote says where a tensor's new weights are.
type weightsNote struct {
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	CRC32C uint32 `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Paths are the two files of the log beside the output.
func Paths(output string) (journal, weights string) {
	return output + ".repair.journal", output + ".repair.weights"
}

// Check returns an error if a repair of output cannot be kept beside it. Nothing is written through a link.
func Check(output string) error {
	journal, weights := Paths(output)
	for _, path := range []string{journal, weights} {
		info, err := os.Lstat(path)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return fmt.Errorf("the repair keeps what is done in %s, which is no regular file; move it away, or give the output another name", path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the repair cannot keep what is done in %s: %w; give the output another name, or use --repair off", path, outfile.Plain(err))
		}
	}
	if _, err := os.Stat(weights); err == nil {
		if _, err := os.Stat(journal); err != nil {
			return fmt.Errorf("%s is there without %s, which says what it is; delete it, or give the output another name", weights, filepath.Base(journal))
		}
	}
	return nil
}

// owner is whose journal it is.
var owner = journal.Owner{Job: "repair", File: "output"}

// Open opens the log beside output, or begins it. anew says that one of another repair is only in the way.
func Open(output string, h journal.Header, anew bool) (*Log, error) {
	path, weights := Paths(output)
	if err := Check(output); err != nil {
		return nil, err
	}
	replaced := false
	j, err := journal.Open[journal.OnlyNotes](path, h, owner)
	if foreign := (*journal.ForeignError)(nil); anew && errors.As(err, &foreign) {
		if err := errors.Join(removeIfThere(weights), os.Remove(path)); err != nil {
			return nil, fmt.Errorf("what is left of another repair cannot be removed: %w", err)
		}
		replaced = true
		j, err = journal.Open[journal.OnlyNotes](path, h, owner)
	}
	if err != nil {
		return nil, err
	}
	l := &Log{Journal: j, Replaced: replaced}
	if l.weights, err = os.OpenFile(weights, os.O_RDWR|os.O_CREATE, 0o644); err == nil {
		l.end, err = l.weights.Seek(0, io.SeekEnd)
	}
	if err != nil {
		l.Close() //nolint:errcheck // the first error counts
		return nil, fmt.Errorf("the repair's weights: %w", err)
	}
	return l, nil
}

func weightsKey(tensor string) string { return "weights/" + tensor }

// Weights implements fit.Log.
func (l *Log) Weights(tensor string) ([]byte, error) {
	var n weightsNote
	if raw := l.Note(weightsKey(tensor)); raw == nil || json.Unmarshal(raw, &n) != nil || n.Size < 1 || n.Offset < 0 || n.Offset > l.end-n.Size {
		return nil, nil
	}
	data := make([]byte, n.Size)
	if _, err := l.weights.ReadAt(data, n.Offset); err != nil {
		return nil, fmt.Errorf("the repair's weights: %w", err)
	}
	if crc32.Checksum(data, castagnoli) != n.CRC32C {
		return nil, nil
	}
	return data, nil
}

// KeepWeights implements fit.Log. The weights are on disk before the journal says so.
func (l *Log) KeepWeights(tensor string, data []byte) error {
	if _, err := l.weights.WriteAt(data, l.end); err != nil {
		return fmt.Errorf("the repair's weights: %w", err)
	}
	if err := l.weights.Sync(); err != nil {
		return fmt.Errorf("the repair's weights: %w", err)
	}
	n := weightsNote{Offset: l.end, Size: int64(len(data)), CRC32C: crc32.Checksum(data, castagnoli)}
	l.end += n.Size
	return l.SetNote(weightsKey(tensor), n)
}

// removeIfThere removes a file; that there is none is no error.
func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Kept reports whether there is anything in the log.
func (l *Log) Kept() bool { return l != nil && l.Notes("") > 0 }

// Close gives the log free; it stays for a later run. A nil log is none.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	var err error
	if l.weights != nil {
		err = l.weights.Close()
	}
	return errors.Join(err, l.Journal.Close())
}

// Remove deletes the log, when the file that it led to is on disk.
func (l *Log) Remove() error {
	if l == nil {
		return nil
	}
	return errors.Join(os.Remove(l.weights.Name()), l.weights.Close(), l.Journal.Remove())
}
