package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/search"
)

// repairLog keeps what a repair is done with in two files: a journal (see package search), whose notes say what became of each block,
// and the new weights, one after the other, to which the journal's notes point. A repair that was interrupted goes on from there. It
// implements repair.Log.
type repairLog struct {
	*search.Journal
	weights *os.File
	end     int64 // of the weights
}

// weightsNote says where a tensor's new weights are.
type weightsNote struct {
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	CRC32C uint32 `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// repairLogPaths are the two files of the log beside the output.
func repairLogPaths(output string) (journal, weights string) {
	return output + ".repair.journal", output + ".repair.weights"
}

// openRepairLog opens the log beside output, or begins it.
func openRepairLog(output string, h search.Header) (*repairLog, error) {
	path, weights := repairLogPaths(output)
	j, err := search.OpenJournal(path, h)
	if err != nil {
		var foreign *search.ForeignJournalError
		if errors.As(err, &foreign) {
			return nil, fmt.Errorf("the journal %s is of another repair: %s differs; delete it to start anew, or give the output another name", path, foreign.What)
		}
		return nil, err
	}
	l := &repairLog{Journal: j}
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

// Weights implements repair.Log.
func (l *repairLog) Weights(tensor string) ([]byte, error) {
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

// KeepWeights implements repair.Log. The weights are on disk before the journal says so.
func (l *repairLog) KeepWeights(tensor string, data []byte) error {
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

// Kept reports whether there is anything in the log.
func (l *repairLog) Kept() bool { return l != nil && l.end > 0 }

func (l *repairLog) path() string {
	return strings.TrimSuffix(l.weights.Name(), ".weights") + ".journal"
}

// Close gives the log free; it stays for a later run. A nil log is none.
func (l *repairLog) Close() error {
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
func (l *repairLog) Remove() error {
	if l == nil {
		return nil
	}
	return errors.Join(os.Remove(l.weights.Name()), l.weights.Close(), l.Journal.Remove())
}
