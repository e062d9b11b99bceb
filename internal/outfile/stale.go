package outfile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// A program that is killed leaves its temporary file behind, which may be as large as a model. The next one that writes the same output
// removes it: whoever writes one holds a lock on it (flock), which goes when he does. Where a file system knows no locks, files stay.

// tempName is what stands between an output's name and the end of its temporary name.
var tempName = regexp.MustCompile(`^\.[0-9a-f]{8}\.tmp$`)

// hold locks a temporary file for as long as it is open; nil where that cannot be done.
func hold(path string) *os.File {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}

// removeStale removes the temporary files of the output base in dir that nobody holds. What cannot be removed stays: it is in nobody's way.
func removeStale(dir, base, ext string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		middle, ours := strings.CutPrefix(e.Name(), "."+base)
		middle, ends := strings.CutSuffix(middle, ext)
		if !ours || !ends || !e.Type().IsRegular() || !tempName.MatchString(middle) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if f := hold(path); f != nil {
			_ = os.Remove(path)
			f.Close()
		}
	}
}
