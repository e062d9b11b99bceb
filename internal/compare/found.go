package compare

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
)

// What a look at the files of this machine may cost.
const (
	mostOpened = 64               // headers read; one with a large vocabulary takes some 50 ms
	mostLooked = 10 * time.Second // until the last is opened
	mostTried  = 3                // files that do not run after all
)

// leastBits is fewer bits for each weight than any of llama.cpp's quantisations has: what is smaller is another model.
const leastBits = 1.5

// neighbour is a file that may be a rival.
type neighbour struct {
	modelref.Neighbour
	bytes int64
}

// candidates lists those of the files nearby that have the size of a rival of the original, which is at most limit, from large to small; skip
// leaves some out. Those far from the original are left out where there are too many.
func candidates(original *gguf.File, nearby []modelref.Neighbour, limit int64, skip func(path string) bool) (out []neighbour) {
	least := int64(float64(original.Params()) * leastBits / 8)
	most := min(limit, original.Bytes()-1)
	seen := map[string]bool{}
	for _, n := range nearby {
		real, err := filepath.EvalSymlinks(n.Path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		bytes := sizeOf(n.Path)
		if bytes < least || bytes > most || skip(n.Path) {
			continue
		}
		if out = append(out, neighbour{n, bytes}); len(out) == mostOpened { // near ones come first
			break
		}
	}
	slices.SortStableFunc(out, func(a, b neighbour) int { return cmp.Compare(b.bytes, a.bytes) })
	return out
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
