package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// A program that is killed leaves its temporary file behind, which may be as large as a model. The next one that writes the same output
// removes it: whoever writes one holds a lock on it (flock), which goes when he does. On file systems without locks, or whose locks keep
// others from reading and writing (see locksHarm), files stay.

// tempName is what follows an output's name in a temporary name.
var tempName = regexp.MustCompile(`^\.[0-9a-f]{8}\.tmp(\.[a-z]+)?$`)

// hold locks a temporary file for as long as it is open; nil where that cannot be done. lost: it is gone, or another process has locked it.
func hold(path string) (f *os.File, lost bool) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // NFS locks only what may be written
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	if locksHarm(f) {
		f.Close()
		return nil, false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.Is(err, unix.EWOULDBLOCK)
	}
	return f, false
}

// removeStale removes the temporary files of the output at path that nobody holds. What cannot be removed stays: it is in nobody's way.
func removeStale(path string) {
	dir, base := filepath.Dir(path), tempBase(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), "."+base)
		if !ours || !e.Type().IsRegular() || !tempName.MatchString(rest) {
			continue
		}
		temp := filepath.Join(dir, e.Name())
		if f, _ := hold(temp); f != nil {
			_ = os.Remove(temp)
			f.Close()
		}
	}
}

// tempBase is the part of an output's name that temporary names have.
func tempBase(path string) string {
	base := filepath.Base(path)
	return base[:min(len(base), 200)] // file names end at 255 bytes
}
