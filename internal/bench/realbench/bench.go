package realbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
)

// bench is a run.
type bench struct {
	options
	*book
	hash     string // of the model
	bytes    int64
	params   uint64
	textHash string
	fitHash  string // "" where prune takes its own text
	scratch  string // a temporary folder; "" until one is needed
	failed   []error
}

// open reads what the run depends on.
func (o options) open() (*bench, error) {
	b := &bench{options: o}
	f, err := source.OpenFile(o.model)
	if err != nil {
		return nil, fmt.Errorf("%w; give a model with -m", err)
	}
	defer f.Close()
	b.bytes, b.params = f.Bytes(), f.Params()
	if b.window == 0 {
		b.window = 2048
		if n, ok, err := f.Uint(f.Arch() + ".context_length"); err == nil && ok && n < 2048 {
			b.window = int(n)
		}
	}
	if b.hash, err = hashFiles(f.Paths()...); err != nil {
		return nil, err
	}
	if b.textHash, err = hashFiles(o.text); err != nil {
		return nil, fmt.Errorf("%w; give a text with -text", err)
	}
	if o.fit != "" {
		var hashes []string
		for path := range strings.SplitSeq(o.fit, ",") {
			h, err := hashFiles(path)
			if err != nil {
				return nil, err
			}
			if h == b.textHash {
				return nil, fmt.Errorf("%s is fitted and judged on, which proves nothing; give another -fit or -text", path)
			}
			hashes = append(hashes, h[:12])
		}
		b.fitHash = strings.Join(hashes, ",")
	}
	path := filepath.Join(o.folder, "results.jsonl")
	if o.only("table", "plot") {
		b.book, err = readBook(path)
		return b, err
	}
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return nil, err
	}
	if b.book, err = openBook(path); err == nil && b.journal.Cut > 0 {
		fmt.Fprintf(os.Stderr, "%s ended within a line; what that said is measured again\n", path)
	}
	return b, err
}

func (b *bench) close() {
	b.journal.Close()
	if b.scratch != "" {
		os.RemoveAll(b.scratch)
	}
}

// temporary is a folder for what does not stay.
func (b *bench) temporary() (string, error) {
	if b.scratch != "" {
		return b.scratch, nil
	}
	var err error
	b.scratch, err = os.MkdirTemp("", "ggufprune-bench-*")
	return b.scratch, err
}

// command runs a command line of ggufprune, and returns what it printed.
func (b *bench) command(ctx context.Context, args ...string) (string, measure.Usage, error) {
	if b.program == "" {
		dir, err := b.temporary()
		if err != nil {
			return "", measure.Usage{}, err
		}
		if b.program, err = measure.Build(ctx, dir); err != nil {
			return "", measure.Usage{}, err
		}
	}
	var out strings.Builder
	fmt.Fprintf(os.Stderr, "ggufprune %s\n", strings.Join(args, " "))
	u, err := measure.Spawn(ctx, &out, b.program, append(args, "--json", "--threads", fmt.Sprint(b.threads))...)
	return out.String(), u, err
}

// spec is a model that runs in this process.
func (b *bench) spec(path string) source.Spec {
	return measure.Spec(llamabind.Runtime{}, path, b.threads)
}

// failing notes what went wrong with one thing, so that hours of others are not lost. It returns an error only where the run is to end.
func (b *bench) failing(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; run it again to go on")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "FAILED: %s: %v\n", what, err)
		b.failed = append(b.failed, err)
	}
	return nil
}

// hashFiles is the SHA-256 of files, one after the other.
func hashFiles(paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func percent(ratio float64) string { return fmt.Sprintf("%.3g%%", 100*ratio) }
