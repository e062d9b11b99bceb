package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/internal/source"
)

// makeRival quantises the first model to the largest type that makes it at most as large as the subject, and measures that.
func (c *comparer) makeRival(ctx context.Context, limit int64) error {
	auto := c.j.Rival == RivalAuto
	var smallest struct {
		name  string
		bytes int64
	}
	types := rivalChoices(c.j.Rival, c.files[0], limit)
	if len(types) == 0 { // then it is worth telling how small it would be
		types = RivalTypes()[len(quantBits)-1:]
	}
	for _, small := range []bool{false, true} {
		for _, typ := range types {
			r, err := newRecipe(c.j.Spec.Engine, c.files[0], c.j.Spec.Threads, typ, small)
			if err != nil {
				return err
			}
			if small && r.usual() {
				continue // there is no smaller matrix at the output
			}
			size, err := r.planned(ctx, c.j.Spec.Engine, c.files[0])
			if err != nil {
				return err
			}
			if smallest.name == "" || size < smallest.bytes {
				smallest.name, smallest.bytes = r.name, size
			}
			if auto && size > limit {
				continue
			}
			if done, err := c.tryRival(ctx, r, size, limit); done || err != nil {
				return err
			}
		}
	}
	reason := fmt.Sprintf("no quantisation of the original that needs no importance matrix fits into %s", format.MiB(limit))
	if smallest.name != "" {
		reason += fmt.Sprintf(" (%s takes %s)", smallest.name, format.MiB(smallest.bytes))
	}
	c.out.Rival = &Rival{Reason: reason}
	return nil
}

// rivalChoices returns the types to try, from large to small: those that may give a file of at most limit bytes.
func rivalChoices(asked string, f *gguf.File, limit int64) []string {
	if asked != RivalAuto {
		return []string{asked}
	}
	return typesWithin(f, limit)
}

// tryRival quantises to a temporary file of about size bytes, and measures that if it is small enough.
func (c *comparer) tryRival(ctx context.Context, r recipe, size, limit int64) (done bool, err error) {
	file, err := c.reserve(ctx, size, r.name)
	if err != nil {
		return false, err
	}
	defer file.Discard() //nolint:errcheck // a temporary file; what was measured counts
	if err := c.quantize(ctx, r, file.Path); err != nil {
		return false, err
	}
	f, err := source.OpenFile(file.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if f.Bytes() > limit && c.j.Rival == RivalAuto {
		return false, nil
	}
	v := Rival{Origin: Made, Type: r.name, Label: r.name}
	if v.From = c.handicap(); v.From != "" {
		v.Origin = Requantized
		v.Note = fmt.Sprintf("%s was requantised from %s, which costs it quality; a quant made from the full-precision model would be better, and "+
			"--rival FILE sets one beside it.", r.name, v.From)
	}
	return true, c.measureRival(ctx, v, f)
}

// reserve makes the temporary file of the rival beside the subject, where a file of that size could be written before.
func (c *comparer) reserve(ctx context.Context, need int64, name string) (*gguf.Reserved, error) {
	dir := filepath.Dir(c.j.Models[c.subject].Path)
	if outfile.CheckFolder(dir) != nil {
		dir = os.TempDir()
	}
	if free, err := outfile.Free(dir); err == nil && float64(free) < slack*float64(need) {
		return nil, fmt.Errorf("the original as %s takes %s, and folder %s has %s free; make room, or give --rival-quant off",
			name, format.MiB(need), dir, format.MiB(free))
	}
	file, err := gguf.Reserve(ctx, filepath.Join(dir, "ggufprune-rival"), 0, true)
	if err != nil {
		return nil, fmt.Errorf("a file for the rival cannot be made: %w; give --rival-quant off", err)
	}
	return file, nil
}

// quantize writes the first model in another type to path. The quantiser runs in a process of its own: it cannot be stopped within a
// tensor, and an assertion of its threads ends its process.
func (c *comparer) quantize(ctx context.Context, r recipe, path string) error {
	bar := c.sink.Start("quantise the original to "+r.name, 1)
	defer bar.Stop()
	return quantproc.Run(ctx, c.j.Spec.Engine, quantproc.Request{In: c.files[0].Paths()[0], Out: path, Params: r.params}, nil)
}
