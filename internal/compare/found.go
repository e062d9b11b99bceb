package compare

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/source"
)

// What a look at the files of this machine may cost.
const (
	mostOpened = 64               // headers read; one with a large vocabulary takes some 50 ms
	mostLooked = 10 * time.Second // until the last is opened
	mostTried  = 3                // files that do not run after all
)

// leastBits is fewer bits for each weight than any of llama.cpp's quantisations has: what is smaller is another model.
const leastBits = 1.5

// findRival looks on this machine for the largest quantisation of the first model that is at most as large as the subject, and
// measures it. What goes wrong is told, and the next one is tried.
func (c *comparer) findRival(ctx context.Context, limit int64) (done bool, err error) {
	tried := 0
	for _, n := range c.candidates(limit) {
		if tried == mostTried || ctx.Err() != nil {
			break
		}
		f, err := source.OpenFile(n.Path)
		if err != nil {
			continue // nobody has asked for this file
		}
		if source.CheckDecoder(f) == nil && sameModel(c.files[0], f) {
			tried++
			c.sink.Notef("the rival is %s, found on this machine: %s", n.Name, n.Path)
			err = c.measureRival(ctx, Rival{Origin: Found, Label: n.Name, Path: n.Path}, f)
			done = err == nil
			if err != nil && ctx.Err() == nil {
				c.sink.Notef("%s is no rival after all: %v", n.Name, err)
			}
		}
		f.Close()
		if done {
			return true, nil
		}
	}
	return false, ctx.Err()
}

// neighbour is a file that may be a rival.
type neighbour struct {
	modelref.Neighbour
	bytes int64
}

// candidates yields the files on this machine that have a rival's size, from large to small. Those far from the original are left out
// where there are too many, and all that remain once the time is up.
func (c *comparer) candidates(limit int64) func(yield func(int, neighbour) bool) {
	return func(yield func(int, neighbour) bool) {
		end := time.Now().Add(mostLooked)
		for i, n := range c.sized(limit) {
			if time.Now().After(end) {
				c.sink.Notef("the search for quantisations of the original on this machine was ended after %s", mostLooked)
				return
			}
			if !yield(i, n) {
				return
			}
		}
	}
}

// sized lists the files that have a rival's size.
func (c *comparer) sized(limit int64) (out []neighbour) {
	if c.j.Nearby == nil {
		return nil
	}
	least := int64(float64(c.files[0].Params()) * leastBits / 8)
	most := min(limit, c.files[0].Bytes()-1)
	seen := map[string]bool{}
	for _, n := range c.j.Nearby(c.j.Models[0].Path) {
		real, err := filepath.EvalSymlinks(n.Path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		bytes := sizeOf(n.Path)
		if bytes < least || bytes > most || c.compared(n.Path) {
			continue
		}
		if out = append(out, neighbour{n, bytes}); len(out) == mostOpened { // near ones come first
			break
		}
	}
	slices.SortStableFunc(out, func(a, b neighbour) int { return cmp.Compare(b.bytes, a.bytes) })
	return out
}

// compared reports whether path is one of the models that are compared anyway.
func (c *comparer) compared(path string) bool {
	return slices.ContainsFunc(c.files, func(f *gguf.File) bool { return gguf.SameFile(path, f) })
}

// sizeOf returns the size of a model's files together, 0 where one is missing.
func sizeOf(path string) (n int64) {
	for _, p := range gguf.Shards(path) {
		info, err := os.Stat(p)
		if err != nil {
			return 0
		}
		n += info.Size()
	}
	return n
}
