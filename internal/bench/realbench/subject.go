package realbench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

// made is a file, and what the whole job took that made it.
type made struct {
	File   string        `json:"file"` // its name in the folder
	SHA256 string        `json:"sha256"`
	Bytes  int64         `json:"bytes"`
	Params uint64        `json:"params"`
	Gone   float64       `json:"gone"`           // part of the model's parameters that was removed
	Type   string        `json:"type,omitempty"` // of a quantisation, what it is called
	What   string        `json:"what,omitempty"` // was removed, for people
	Mask   any           `json:"mask,omitempty"`
	Took   measure.Usage `json:"took"`
	None   string        `json:"none,omitempty"` // why there is no file
	More   bool          `json:"more,omitempty"` // it took more: an attempt before was ended without a word
	Plan   string        `json:"plan,omitempty"`
}

// makes is the key of a method's file; false where it is not known yet what that should be.
func (b *bench) makes(method string, ratio float64) (key, bool) {
	set := settings{"fit": b.fitHash}
	switch method {
	case blocks, repaired:
		set["time"], set["chunks"] = b.time, strconv.Itoa(b.chunks)
	case quant, quantOut:
		limit := b.limit(ratio)
		if limit == 0 {
			return key{}, false
		}
		set = settings{"limit": strconv.FormatInt(limit, 10)}
	}
	if method == repaired || method == width {
		set["tokens"] = strconv.Itoa(b.tokens)
	}
	return key{Part: "prune", Model: b.hash, Method: method, Ratio: ratio, Settings: set}, true
}

// limit is how large a quantisation may be that is set beside the files of a ratio: as the default's, else the largest; 0 if there is none.
func (b *bench) limit(ratio float64) (limit int64) {
	for _, method := range []string{blocks, repaired, width} {
		m := b.found(method, ratio)
		switch {
		case m == nil || !slices.Contains(b.methods, method):
		case method == width:
			return m.Bytes
		default:
			limit = max(limit, m.Bytes)
		}
	}
	return limit
}

// subject is a file that is measured.
type subject struct {
	method string
	ratio  float64
	path   string
	hash   string
	made   *made // nil: the original
}

// original is the method of the model itself.
const original = "original"

// subjects are the original and all files that were made, by ratio and method.
func (b *bench) subjects() []subject {
	out := []subject{{method: original, path: b.model, hash: b.hash}}
	for _, ratio := range b.ratios {
		for _, method := range b.methods {
			if m := b.found(method, ratio); m != nil && m.None == "" {
				out = append(out, subject{method, ratio, filepath.Join(b.folder, m.File), m.SHA256, m})
			}
		}
	}
	return out
}

// found is the file of a method, if there was one.
func (b *bench) found(method string, ratio float64) *made {
	k, ok := b.makes(method, ratio)
	m := &made{}
	if !ok || !b.find(k, m) {
		return nil
	}
	return m
}

// measured is the key of what is measured of a subject.
func (b *bench) measured(part string, s subject, set settings) key {
	return key{Part: part, Model: b.hash, Method: s.method, Ratio: s.ratio, File: s.hash, Settings: set}
}

// each calls f for all subjects that lack a result of the part; keys are what they lack. Files of the same content are measured once.
func (b *bench) each(ctx context.Context, part string, settingsOf func(subject) []settings, f func(subject, settings) (any, error)) error {
	for _, s := range b.subjects() {
		for _, set := range settingsOf(s) {
			k := b.measured(part, s, set)
			if len(b.all(k)) > 0 {
				continue
			}
			what := fmt.Sprintf("%s of %s", part, s.name())
			fmt.Fprintf(os.Stderr, "## %s\n", what)
			value, err := f(s, set)
			if err == nil {
				err = b.add(k, value)
			}
			if err := b.failing(ctx, what, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// name is what messages call it.
func (s subject) name() string {
	if s.made == nil {
		return s.method
	}
	return fmt.Sprintf("%s, %s", s.title(), percent(s.ratio))
}

// title is what the table calls a method.
func (s subject) title() string {
	switch s.method {
	case repaired:
		return "blocks, repaired"
	case width:
		return "channels (default)"
	case quant, quantOut:
		if s.made != nil {
			return s.made.Type
		}
	}
	return s.method
}

// bytes of a subject's file.
func (b *bench) bytesOf(s subject) int64 {
	if s.made == nil {
		return b.bytes
	}
	return s.made.Bytes
}

// there reports whether the file of a result is still there.
func (b *bench) there(m *made) bool {
	if m.None != "" {
		return true
	}
	info, err := os.Stat(filepath.Join(b.folder, m.File))
	return err == nil && info.Size() == m.Bytes
}
