package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
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

// quantisable are the types of which a quantisation to few bits is what llama.cpp's users would take. Of one that has lost
// much already they would take another file, which is looked for; what is made of it is worse than that.
var quantisable = []string{"F32", "F16", "BF16", "Q8_0"}

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
	if limit := c.files[c.subject].Bytes(); r.Bytes > limit { // as the user asked for it
		larger := fmt.Sprintf("%s is larger: %s against %s.", r.Label, format.Size(r.Bytes), format.Size(limit))
		r.Note = strings.TrimSpace(larger + " " + r.Note)
	}
	c.out.Rival = &r
	return nil
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
