package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/source"
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

// findRival looks on this machine for the largest quantisation of the first model that is at most as large as the subject, and
// measures it. What goes wrong is told, and the next one is tried.
func (c *comparer) findRival(ctx context.Context, limit int64) (done bool, err error) {
	if c.j.Nearby == nil {
		return false, nil
	}
	c.mustFit = true
	defer func() { c.mustFit = false }()
	tried, looked := 0, time.Duration(0)
	for _, n := range candidates(c.files[0], c.j.Nearby(c.j.Models[0].Path), limit, c.compared) {
		if tried == mostTried || ctx.Err() != nil {
			break
		}
		if looked > mostLooked {
			c.sink.Notef("the search for quantisations of the original on this machine was ended after %s", mostLooked)
			break
		}
		began := time.Now()
		f, err := source.OpenFile(n.Path)
		if err != nil {
			looked += time.Since(began)
			continue // nobody has asked for this file
		}
		same := source.CheckDecoder(f) == nil && sameModel(c.files[0], f)
		looked += time.Since(began)
		if same {
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

// compared reports whether path is one of the models that are compared anyway.
func (c *comparer) compared(path string) bool {
	return slices.ContainsFunc(c.files, func(f *gguf.File) bool { return gguf.SameFile(path, f) })
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
