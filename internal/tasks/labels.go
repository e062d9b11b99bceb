package tasks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// labels are the right answers in a file beside the items: PIQA's authors publish valid.jsonl and valid-labels.lst, WinoGrande's
// train_xl.jsonl and train_xl-labels.lst. A line holds what the items' field would hold.
type labels struct {
	name  string // of the file, without its folder
	lines []string
	err   error // why it could not be read, if it could not
}

// maxLabels bounds what is read of a file of labels: published ones have two bytes for each item.
const maxLabels = 2 << 20

// labelsBeside returns the labels that belong to the items at path.
func labelsBeside(path string) *labels {
	path = strings.TrimSuffix(path, filepath.Ext(path)) + "-labels.lst"
	l := &labels{name: filepath.Base(path)}
	f, err := os.Open(path)
	if err != nil {
		l.err = err
		return l
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLabels+1))
	if l.err = err; err == nil && len(text) > maxLabels {
		l.err = errors.New("it is too large to be labels")
		return l
	}
	l.lines = strings.Fields(string(text))
	return l
}

// give sets the field that row i of n lacks.
func (l *labels) give(r row, missing *noLabel, i, n int) error {
	switch {
	case errors.Is(l.err, fs.ErrNotExist):
		return fmt.Errorf("there is no %q among its fields (%s), and no file %s beside it, where some sets have their labels; put that there, "+
			"or take a split whose answers are public, validation for most sets", missing.key, missing.fields, l.name)
	case l.err != nil:
		return fmt.Errorf("the labels beside it, %s, cannot be read: %w", l.name, l.err)
	case len(l.lines) != n:
		return fmt.Errorf("the labels beside it, %s, are %d, for %d items; take both files of one split", l.name, len(l.lines), n)
	}
	r[missing.key] = []byte(strconv.Quote(l.lines[i]))
	return nil
}

// noLabel says that a row lacks the field for the right answer.
type noLabel struct{ key, fields string }

func (e *noLabel) Error() string {
	return fmt.Sprintf("there is no %q among its fields (%s); take a split whose answers are public, validation for most sets", e.key, e.fields)
}
