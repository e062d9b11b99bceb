package outfile

import (
	"io/fs"
	"os"
)

// WriteFile writes a small file that appears whole or not at all. One that it replaces passes on its permissions; without force it replaces
// nothing, and that is an ErrExists. Other errors are the system's: the caller says what file it was and what to do ([Plain]).
func WriteFile(path string, data []byte, force bool) error {
	return writeFile(System{}, path, data, force)
}

func writeFile(fsys FS, path string, data []byte, force bool) error {
	old, err := os.Lstat(path)
	if err == nil && !force {
		return explain(fs.ErrExist, path, 0)
	}
	replaces := err == nil && old.Mode().IsRegular()
	o := Options{Force: force, Perm: 0o644, FS: fsys}
	if replaces {
		o.Perm = old.Mode().Perm()
	}
	p := newPending(path, o)
	p.bare = true
	if err := p.create(o); err != nil {
		return err
	}
	if replaces { // the umask may have taken some of them
		if err := os.Chmod(p.temp, o.Perm); err != nil {
			return p.Fail(err)
		}
	}
	if _, err := p.Write(data); err != nil {
		return p.Fail(err)
	}
	if err := p.Commit(); err != nil {
		return p.Fail(err)
	}
	return nil
}

// Unnamed makes a file in dir that is gone with the process, however that ends: it has no name.
func Unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "ggufprune-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
