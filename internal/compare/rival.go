package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/quantproc"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Rival is a quantisation of the reference, about as small as the subject: what its user could have instead. Its row is the last.
type Rival struct {
	Type   string // of most of its weights, or what the reference was quantised to; "" where there is none
	Label  string // what it is called
	Path   string // "" where its file is gone
	Bytes  int64
	Origin string // Made, Requantized, Found or Given; "" where there is none
	From   string // of Requantized: the type of the file that it was made from
	Note   string // a sentence that belongs to a verdict on it; "" for none
	Reason string // why there is none
}

// Where a rival is from.
const (
	Made        = "made"        // quantised from the reference, which has lost little yet
	Requantized = "requantized" // quantised from the reference, which was quantised before
	Found       = "found"       // on this machine
	Given       = "given"       // by the user
)

// What [Job].Rival may be, besides a type.
const (
	RivalOff  = "off"
	RivalAuto = "auto"
)

// quantBits are llama-quantize's types that need no importance matrix, with the bits that a weight takes in an 8B model, from
// large to small (llama.cpp, tools/quantize/README.md).
var quantBits = []struct {
	name string
	bits float64
}{
	{"Q8_0", 8.50},
	{"Q6_K", 6.56},
	{"Q5_K_M", 5.70},
	{"Q5_K_S", 5.57},
	{"Q4_K_M", 4.89},
	{"Q4_K_S", 4.67},
	{"IQ4_XS", 4.46},
	{"Q3_K_L", 4.30},
	{"Q3_K_M", 4.00},
	{"Q3_K_S", 3.64},
	{"Q2_K", 3.16},
}

// RivalTypes are the types that [Job].Rival may name.
func RivalTypes() []string {
	var out []string
	for _, q := range quantBits {
		out = append(out, q.name)
	}
	return out
}

// quantisable are the types of which a quantisation to few bits is what llama.cpp's users would take. Of one that has lost
// much already they would take another file, which is looked for; what is made of it is worse than that.
var quantisable = []string{"F32", "F16", "BF16", "Q8_0"}

// slack is how much larger than wanted an estimated size may be: it is for another model.
const slack = 1.05

// rival sets a quantisation of the first model beside the subject: the user's, else one that is at most as large, found on this
// machine where the first model is quantised already, else made of it.
func (c *comparer) rival(ctx context.Context) error {
	switch {
	case len(c.files) < 2:
		return nil
	case c.j.RivalFile.Path != "":
		return c.givenRival(ctx)
	case c.j.Rival == "" || c.j.Rival == RivalOff:
		return nil
	}
	limit, handicap := c.files[c.subject].Bytes(), c.handicap()
	if handicap != "" && c.j.Rival == RivalAuto {
		if done, err := c.findRival(ctx, limit); done || err != nil {
			return err
		}
	}
	err := c.makeRival(ctx, limit)
	if err != nil && (ctx.Err() != nil || c.j.Rival != RivalAuto) {
		return err
	}
	if err != nil { // the rest of the comparison is worth having
		c.out.Rival = &Rival{Reason: err.Error()}
	}
	if c.out.Rival.Type == "" && handicap != "" && c.j.Rival == RivalAuto {
		c.out.Rival.Reason += ", and none was found on this machine; name one with --rival FILE"
	}
	return nil
}

// handicap is the type of the first model where a quantisation that is made of it is at a disadvantage, else "".
func (c *comparer) handicap() string {
	if from := mainType(c.files[0]); !slices.Contains(quantisable, from) {
		return from
	}
	return ""
}

// makeRival quantises the first model to the largest type that makes it at most as large as the subject, and measures that.
func (c *comparer) makeRival(ctx context.Context, limit int64) error {
	for _, name := range rivalChoices(c.j.Rival, c.files[0], limit) {
		done, err := c.tryRival(ctx, name, limit)
		if done || err != nil {
			return err
		}
	}
	c.out.Rival = &Rival{Reason: fmt.Sprintf("no quantisation of the original that needs no importance matrix fits into %s", format.MiB(limit))}
	return nil
}

// measureRival measures a rival, whose header is f, and adds its row. After an error there is neither.
func (c *comparer) measureRival(ctx context.Context, r Rival, f *gguf.File) error {
	n := len(c.out.Rows)
	err := c.model(ctx, Contender{Label: r.Label, Path: f.Paths()[0]}, f, false)
	if err != nil {
		c.out.Rows = c.out.Rows[:n]
		return err
	}
	row := &c.out.Rows[n]
	if r.Type != "" {
		row.Type = r.Type
	}
	row.Path, r.Type, r.Bytes = r.Path, row.Type, f.Bytes()
	c.out.Rival = &r
	return nil
}

// rivalChoices returns the types to try, from large to small: those that may give a file of at most limit bytes.
func rivalChoices(asked string, f *gguf.File, limit int64) []string {
	if asked != RivalAuto {
		return []string{asked}
	}
	var out []string
	for _, q := range quantBits {
		if size := quantSize(f, q.bits); float64(size) <= slack*float64(limit) && size < f.Bytes() {
			out = append(out, q.name)
		}
	}
	return out
}

// quantSize estimates the size of f quantised to so many bits for each weight of a matrix.
func quantSize(f *gguf.File, bits float64) int64 {
	size := f.Bytes()
	for _, t := range f.Tensors() {
		if len(t.Dims) > 1 {
			size += int64(float64(t.Elements())*bits/8) - t.Size
		}
	}
	return size
}

// tryRival quantises to a temporary file, and measures that if it is small enough.
func (c *comparer) tryRival(ctx context.Context, name string, limit int64) (done bool, err error) {
	file, err := c.reserve(ctx, name)
	if err != nil {
		return false, err
	}
	defer file.Discard() //nolint:errcheck // a temporary file; what was measured counts
	if err := c.quantize(ctx, name, file.Path); err != nil {
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
	r := Rival{Origin: Made, Type: name, Label: name}
	if r.From = c.handicap(); r.From != "" {
		r.Origin = Requantized
		r.Note = fmt.Sprintf("%s was requantised from %s, which costs it quality; a quant made from the full-precision model would be better, and "+
			"--rival FILE sets one beside it.", name, r.From)
	}
	return true, c.measureRival(ctx, r, f)
}

// reserve makes the temporary file of the rival beside the subject, where a file of that size could be written before.
func (c *comparer) reserve(ctx context.Context, name string) (*gguf.Reserved, error) {
	dir := filepath.Dir(c.j.Models[c.subject].Path)
	if outfile.CheckFolder(dir) != nil {
		dir = os.TempDir()
	}
	for _, q := range quantBits {
		need := quantSize(c.files[0], q.bits)
		if free, err := outfile.Free(dir); q.name == name && err == nil && float64(free) < slack*float64(need) {
			return nil, fmt.Errorf("the original as %s takes %s, and folder %s has %s free; make room, or give --rival-quant off",
				name, format.MiB(need), dir, format.MiB(free))
		}
	}
	file, err := gguf.Reserve(ctx, filepath.Join(dir, "ggufprune-rival"), 0, true)
	if err != nil {
		return nil, fmt.Errorf("a file for the rival cannot be made: %w; give --rival-quant off", err)
	}
	return file, nil
}

// quantize writes the first model in another type to path. The quantiser runs in a process of its own: it cannot be stopped within a
// tensor, and an assertion of its threads ends its process.
func (c *comparer) quantize(ctx context.Context, name, path string) error {
	bar := c.sink.Start("quantise the original to "+name, 1)
	defer bar.Stop()
	typ, err := c.j.Spec.Engine.ParseFileType(name)
	if err != nil {
		return err
	}
	return quantproc.Run(ctx, c.j.Spec.Engine, quantproc.Request{
		In: c.files[0].Paths()[0], Out: path,
		Params: engine.QuantizeParams{Type: typ, Threads: c.j.Spec.Threads, AllowRequantize: true},
	}, nil)
}

// ParseRival reads the value of --rival-quant.
func ParseRival(s string) (string, error) {
	if s == RivalOff || s == RivalAuto {
		return s, nil
	}
	if t := strings.ToUpper(s); slices.Contains(RivalTypes(), t) {
		return t, nil
	}
	return "", fmt.Errorf("unknown quantisation %q; give auto, off or one of %s", s, strings.Join(RivalTypes(), ", "))
}
