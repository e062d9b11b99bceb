package outfile

import "testing"

// WriteFileOn is WriteFile on another file system.
func WriteFileOn(fsys FS, path string, data []byte, force bool) error {
	return writeFile(fsys, path, data, force)
}

// Names lists a folder.
func Names(t testing.TB, dir string) []string {
	t.Helper()
	return names(t, dir)
}
