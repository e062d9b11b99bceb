package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// shardName is how llama.cpp names the files of a split model.
var shardName = regexp.MustCompile(`-\d{5}-of-\d{5}\.gguf$`)

// Check returns an error if path cannot become an output file, so that hours of search are not spent in vain: its
// folder must exist and be writable, it must not be one of the inputs (whatever name or link leads there), and it must not
// exist unless force. What it cannot see, the write itself reports.
func Check(path string, force bool, inputs ...string) error {
	if shardName.MatchString(path) {
		return fmt.Errorf("output %s is named like a shard of a split model, and one file is written; choose another name", path)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("output %s is a folder; name a file in it", path)
	case err == nil:
		for _, in := range inputs {
			if other, err := os.Stat(in); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("%w: %s; choose another name with -o", ErrIsInput, path)
			}
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("output %s is not a regular file; choose another name", path)
		}
		if !force {
			return fmt.Errorf("%w: %s; choose another name, or overwrite it with --force", ErrExists, path)
		}
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil && !force { // a link to nothing
			return fmt.Errorf("%w: %s, a link to nothing; choose another name, or overwrite it with --force", ErrExists, path)
		}
	default:
		return fmt.Errorf("output %s cannot be used: %w; choose another name", path, Plain(err))
	}
	return CheckFolder(filepath.Dir(path))
}

// SamePath reports whether a and b are one file, or would be: the same name in the same folder.
func SamePath(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if x, err := os.Stat(a); err == nil {
		y, err := os.Stat(b)
		return err == nil && os.SameFile(x, y)
	}
	x, errX := os.Stat(filepath.Dir(a))
	y, errY := os.Stat(filepath.Dir(b))
	return errX == nil && errY == nil && os.SameFile(x, y) && filepath.Base(a) == filepath.Base(b)
}

// CheckRoom returns an ErrNoSpace where the folder of path has less room than the file takes at least. Not to know the room is no reason to
// stop.
func CheckRoom(path string, least int64) error {
	removeStale(path)
	if free, err := Free(filepath.Dir(path)); err == nil && free < least {
		return noSpace(path, least, free)
	}
	return nil
}

// CheckFolder makes and removes a file in dir: permissions alone do not tell about read-only and full file systems.
func CheckFolder(dir string) error {
	f, err := os.CreateTemp(dir, ".ggufprune-*")
	if err != nil {
		return fmt.Errorf("%w to folder %s: %w; choose an existing folder that you may write to", ErrReadOnly, dir, Plain(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

// refuse returns an error if a write to path must not begin. Check says the same before the work, to somebody at a command line. This is
// for what has changed since, and for callers that did not ask.
func refuse(path string, force bool) error {
	if shardName.MatchString(path) {
		return fmt.Errorf("%s: %w, it is named like a shard of a split model, and one file is written; choose another name", path, ErrReadOnly)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("%s: %w, it is a directory; add a file name", path, ErrReadOnly)
	} else if err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s: %w, it is not a regular file; choose another name", path, ErrReadOnly)
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s: %w; choose another name or force it", path, ErrExists)
	}
	return nil
}
