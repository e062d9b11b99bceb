package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/report/page"
)

// Files are where a report goes; "" is nowhere.
type Files struct {
	Page   string // the HTML page
	Card   string // the model card
	Charts string // the folder of the charts' files; it is made if it is missing
}

// Any reports whether there is anything to write.
func (r Files) Any() bool { return r.Page != "" || r.Card != "" || r.Charts != "" }

// Check finds out whether the files can be written, before the work that they tell of is done. inputs are files that must not be
// overwritten: what is read, and what else is written.
func (r Files) Check(force bool, inputs ...string) error {
	for _, out := range []struct{ what, path string }{{"report", r.Page}, {"model card", r.Card}} {
		if out.path == "" {
			continue
		}
		if err := outfile.Check(out.path, force, inputs...); err != nil {
			return fmt.Errorf("%s: %w", out.what, err)
		}
		for _, in := range inputs {
			if outfile.SamePath(out.path, in) {
				return fmt.Errorf("the %s and another file are the same, %s; give them different names", out.what, out.path)
			}
		}
	}
	if outfile.SamePath(r.Page, r.Card) {
		return fmt.Errorf("the report and the model card are the same file, %s; give them different names", r.Page)
	}
	if r.Charts == "" {
		return nil
	}
	return r.checkCharts(force, inputs)
}

func (r Files) checkCharts(force bool, inputs []string) error {
	info, err := os.Stat(r.Charts)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := outfile.CheckFolder(filepath.Dir(filepath.Clean(r.Charts))); err != nil {
			return fmt.Errorf("charts: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("charts: folder %s cannot be used: %w; choose another", r.Charts, outfile.Plain(err))
	case !info.IsDir():
		return fmt.Errorf("charts: %s is no folder; name one for the charts' files", r.Charts)
	}
	for _, name := range page.ChartFiles() {
		if err := outfile.Check(filepath.Join(r.Charts, name), force, append(inputs, r.Page, r.Card)...); err != nil {
			return fmt.Errorf("charts: %w", err)
		}
	}
	return nil
}

// Written names the files of a report; what was not asked for is "".
type Written struct {
	Page, Card string
	Charts     []string
}

// file is a file in memory.
type file struct {
	path string
	data []byte
}

// Write makes the report and writes its files. All of it is made before any of it is written, each file appears whole or not at all, and
// what appeared in its place since Check is not replaced without force.
func (r Files) Write(in page.Input, force bool, inputs ...string) (*Written, error) {
	if err := r.Check(force, inputs...); err != nil {
		return nil, err
	}
	files, err := r.render(in)
	if err != nil {
		return nil, err
	}
	out := &Written{Page: r.Page, Card: r.Card}
	if r.Charts != "" {
		if err := os.Mkdir(r.Charts, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("charts: folder %s: %w; choose another", r.Charts, outfile.Plain(err))
		}
	}
	for _, f := range files {
		switch err := outfile.WriteFile(f.path, f.data, force); {
		case errors.Is(err, outfile.ErrExists):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("write %s: %w; free some space or choose another folder", f.path, outfile.Plain(err))
		}
		if f.path != r.Page && f.path != r.Card {
			out.Charts = append(out.Charts, f.path)
		}
	}
	return out, nil
}

// render makes the files: the charts first, for the card shows them.
func (r Files) render(in page.Input) (files []file, err error) {
	if r.Charts != "" {
		charts, err := page.Charts(in)
		if err != nil {
			return nil, err
		}
		for _, c := range charts {
			path := filepath.Join(r.Charts, c.Name)
			files = append(files, file{path + ".svg", c.SVG}, file{path + ".png", c.PNG})
		}
		in.Charts = r.chartsFromCard()
	}
	for _, f := range []struct {
		path string
		make func(page.Input) ([]byte, error)
	}{{r.Card, page.Card}, {r.Page, page.HTML}} {
		if f.path == "" {
			continue
		}
		data, err := f.make(in)
		if err != nil {
			return nil, err
		}
		files = append(files, file{f.path, data})
	}
	return files, nil
}

// chartsFromCard is the charts' folder as a path in a URL relative to the card, "" where there is none: a card on a hub cannot show what
// is elsewhere on this machine.
func (r Files) chartsFromCard() string {
	if r.Charts == "" {
		return ""
	}
	card, err1 := filepath.Abs(filepath.Dir(r.Card))
	charts, err2 := filepath.Abs(r.Charts)
	if err1 != nil || err2 != nil {
		return ""
	}
	rel, err := filepath.Rel(card, charts)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return ""
	}
	return path.Clean(filepath.ToSlash(rel))
}
