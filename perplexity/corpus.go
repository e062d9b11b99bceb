package perplexity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity/forms"
)

// Corpus is text to evaluate on: documents that belong to nothing before or after them. The forms of files are in docs/FORMATS.md.
type Corpus struct {
	Name      string   // where it comes from, for errors and reports
	Documents []string // in the order of the file, none of them blank

	// Turns has the messages of those documents that are conversations or instructions, nil for the others. It is nil where
	// there are none, else parallel to Documents, which have these messages in a form of their own: see [Corpus.Chat].
	Turns [][]engine.Message

	special []bool // documents in which the names of special tokens mean these tokens; nil is none

	// Continuous marks plain text without document boundaries: one document, which [Samples] cuts into sequences.
	Continuous bool
}

// Text returns the whole corpus as one text, documents separated by an empty line.
func (c *Corpus) Text() string { return strings.Join(c.Documents, documentsApart) }

// documentsApart is what stands between documents that are one text.
const documentsApart = "\n\n"

// Format says how a corpus file is read.
type Format string

// The formats. The JSON ones take one record after another (JSONL) or one array of records.
const (
	Auto     Format = "auto" // by the file's extension, else by its content
	Plain    Format = "text" // UTF-8 text
	Alpaca   Format = Format(forms.Alpaca)
	ShareGPT Format = Format(forms.ShareGPT)
	JSONText Format = Format(forms.JSONText)
)

// ErrEmptyCorpus is wrapped by errors about text without content.
var ErrEmptyCorpus = errors.New("empty")

// maxCorpus bounds what is read into memory. The calibration sets of the literature are a few megabytes.
const maxCorpus = 1 << 30

// ReadFile reads the corpus in the file at path.
func ReadFile(path string, format Format) (*Corpus, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, path, format)
}

// Read reads a corpus. name is what errors and reports call it; its extension helps [Auto]. Plain text is taken byte for
// byte, less one newline at its end, as llama.cpp's -f takes it.
func Read(r io.Reader, name string, format Format) (*Corpus, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCorpus+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxCorpus {
		return nil, fmt.Errorf("%s is larger than 1 GiB; use a part of it, a few megabytes are plenty", name)
	}
	if err := checkText(name, data); err != nil {
		return nil, err
	}
	c := &Corpus{Name: name}
	if format == Auto || format == "" {
		format = detect(name, data)
	}
	if format == Plain {
		c.Continuous = true
		c.Documents = []string{strings.TrimSuffix(string(data), "\n")}
	} else if c.Documents, c.Turns, err = forms.Read(name, data, forms.Form(format)); err != nil {
		return nil, err
	}
	if strings.TrimSpace(strings.Join(c.Documents, "")) == "" {
		return nil, fmt.Errorf("%s is %w: it needs text to measure perplexity on", name, ErrEmptyCorpus)
	}
	return c, nil
}

// checkText refuses what is clearly no UTF-8 text, such as a model given in place of a text.
func checkText(name string, data []byte) error {
	head := data[:min(len(data), 8192)]
	switch {
	case bytes.HasPrefix(head, []byte("GGUF")):
		return fmt.Errorf("%s is a GGUF model, not text", name)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return fmt.Errorf("%s is UTF-16; convert it to UTF-8", name)
	case bytes.IndexByte(head, 0) >= 0:
		return fmt.Errorf("%s is binary, not text", name)
	}
	if at := invalidAt(data); at < len(data) {
		return fmt.Errorf("%s is no valid UTF-8 (line %d); convert it to UTF-8", name, lineOf(data, at))
	}
	return nil
}

// invalidAt returns the offset of the first byte of data that is no UTF-8, or len(data). A character that the end of the
// data cuts short is let pass: texts are often made with head -c.
func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(data[i:]) {
				break
			}
			return i
		}
		i += n
	}
	return len(data)
}

// lineOf returns the line, counted from 1, of the byte at offset.
func lineOf(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

// detect chooses Plain or a JSON form ("" is whichever each record has). The extension decides where it says something;
// other names are JSON only if the text begins with an object of a known field, since source code may begin with a brace.
func detect(name string, data []byte) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".jsonl", ".ndjson":
		return ""
	case ".txt", ".text", ".md", ".raw":
		return Plain
	}
	if forms.Detect(name, data) {
		return ""
	}
	return Plain
}
