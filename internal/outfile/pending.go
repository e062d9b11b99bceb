package outfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Options are the choices a caller has.
type Options struct {
	Force bool        // replace an existing file
	Size  int64       // bytes that must be free; 0 where the caller does not know
	Perm  fs.FileMode // less the process's umask; 0 is 0666
	Ext   string      // what the temporary name ends in, for readers that go by it: ".gguf"
	FS    FS          // nil: the system's
}

// Pending is an output under its temporary name. Exactly one of Commit, Discard and Fail ends it. Discard after that does nothing, so it
// can be deferred. Commit and Discard of a nil Pending do nothing.
type Pending struct {
	path, temp string
	size       int64
	force      bool
	bare       bool // errors stay as the system gave them, but for ErrExists
	fs         FS
	file       File     // nil once it is closed
	held       *os.File // locks the temporary file; nil where that cannot be done
	done       bool
}

// Create makes an empty temporary file in the folder of path, where the file is to be in the end. An existing file at path is an ErrExists
// unless o.Force, a folder without room an ErrNoSpace, a path that cannot be a file an ErrReadOnly.
func Create(path string, o Options) (*Pending, error) {
	p := newPending(path, o)
	if err := refuse(path, o.Force); err != nil {
		return nil, err
	}
	removeStale(path) // which may make the room
	if err := p.checkFree(); err != nil {
		return nil, err
	}
	if err := p.create(o); err != nil {
		return nil, p.Explain(err)
	}
	return p, nil
}

func newPending(path string, o Options) *Pending {
	p := &Pending{path: path, size: o.Size, force: o.Force, fs: o.FS}
	if p.fs == nil {
		p.fs = System{}
	}
	return p
}

// checkFree returns an ErrNoSpace where the folder has less room than the file takes. Not to know the room is no reason to stop.
func (p *Pending) checkFree() error {
	if p.size == 0 {
		return nil
	}
	if free, err := p.fs.Free(filepath.Dir(p.path)); err == nil && free < p.size {
		return noSpace(p.path, p.size, free)
	}
	return nil
}

// create makes a file of a new name.
func (p *Pending) create(o Options) error {
	perm := o.Perm
	if perm == 0 {
		perm = 0o666
	}
	dir, base := filepath.Dir(p.path), tempBase(p.path)
	for tries := 0; ; tries++ {
		p.temp = filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp%s", base, rand.Uint32(), o.Ext))
		file, err := p.fs.Create(p.temp, perm)
		if err == nil {
			var lost bool
			p.held, lost = hold(p.temp)
			p.file = file
			if tries == 10 || !lost && (p.held == nil || p.there()) {
				return nil
			}
			file.Close() // another writer of the same output took it for a file left behind before it was locked
			p.release()
			continue
		}
		if !errors.Is(err, fs.ErrExist) || tries == 10 {
			return err
		}
	}
}

// Path is the temporary name.
func (p *Pending) Path() string { return p.temp }

// Write adds b to the file. Its errors are the system's: end with Fail(Explain(err)).
func (p *Pending) Write(b []byte) (int, error) {
	if p.file == nil {
		return 0, p.over()
	}
	return p.file.Write(b)
}

// Preallocate reserves the file's size on the disk, so that it cannot fill up later. The file has that length from then on. Its errors are
// the system's.
func (p *Pending) Preallocate() error {
	if p.file == nil {
		return p.over()
	}
	return p.file.Preallocate(p.size)
}

// Writeback starts writing [off, off+n) to the disk, and waits for what lies more than lag before.
func (p *Pending) Writeback(off, n, lag int64) {
	if p.file != nil {
		p.file.Writeback(off, n, lag)
	}
}

// Finish takes what has been written for complete, and makes it last (fsync). After an error no file is left.
func (p *Pending) Finish() error {
	if p.done {
		return p.over()
	}
	if p.file == nil {
		return nil
	}
	err := p.file.Sync()
	if cerr := p.file.Close(); err == nil {
		err = cerr
	}
	p.file = nil
	if err != nil {
		return p.Fail(p.Explain(err))
	}
	return nil
}

// Open reads the file under its temporary name.
func (p *Pending) Open() (io.ReadCloser, error) {
	if p.done {
		return nil, p.over()
	}
	r, err := p.fs.Open(p.temp)
	if err != nil {
		return nil, p.Explain(err)
	}
	return r, nil
}

// Commit finishes the file, gives it its name and makes the name last (fsync of the folder). Where another file has taken the name since
// Create, it is an ErrExists, unless the file was to be forced; then the temporary file stays until Discard.
func (p *Pending) Commit() error {
	if p == nil {
		return nil
	}
	if err := p.Finish(); err != nil {
		return err
	}
	if err := p.fs.Rename(p.temp, p.path, p.force); err != nil {
		return p.Explain(err)
	}
	p.done = true
	p.release()
	if err := p.fs.SyncDir(filepath.Dir(p.path)); err != nil {
		// A name that a power failure may take back is no finished file.
		return removeAfter(p.Explain(err), p.fs, p.path)
	}
	return nil
}

// Discard removes the temporary file.
func (p *Pending) Discard() error {
	if p == nil || p.done {
		return nil
	}
	p.end()
	if err := p.fs.Remove(p.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p.temp, Plain(err))
	}
	return nil
}

// Fail removes the temporary file, which is of no use after err. It returns err, and on the same line what could not be removed.
func (p *Pending) Fail(err error) error {
	if p.done {
		return err
	}
	p.end()
	return removeAfter(err, p.fs, p.temp)
}

// Explain makes one line with the next step of an error of writing the file. Errors of what the file is made from are not for it.
func (p *Pending) Explain(err error) error {
	if p.bare && (p.force || !errors.Is(err, fs.ErrExist)) {
		return err
	}
	return explain(err, p.path, p.size)
}

// there reports whether the temporary name is still that of the file that is held.
func (p *Pending) there() bool {
	held, err := p.held.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(p.temp)
	return err == nil && os.SameFile(held, named)
}

// release lets go of the temporary file's lock.
func (p *Pending) release() {
	if p.held != nil {
		p.held.Close()
		p.held = nil
	}
}

// end closes what is open.
func (p *Pending) end() {
	p.done = true
	p.release()
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// over is the error of using a file that has ended.
func (p *Pending) over() error { return fmt.Errorf("%s: it was written or discarded already", p.path) }
