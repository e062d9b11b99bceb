package forms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// Read returns the documents of JSON records, blank ones left out, and the messages of those that have some; nil if none has. The
// records come one after another or in one array, in the form as, or each in its own with "". name is what errors call the file.
func Read(name string, data []byte, as Form) (docs []string, turns [][]engine.Message, err error) {
	recs := newRecords(name, data)
	chat := false
	for {
		doc, err := recs.next(as)
		if err == io.EOF {
			if !chat {
				turns = nil
			}
			return docs, turns, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if strings.TrimSpace(doc.text) != "" {
			docs, turns = append(docs, doc.text), append(turns, doc.turns)
			chat = chat || doc.turns != nil
		}
	}
}

// Detect reports whether the data begins with a record of a field by which a form is known. Source code may begin with a brace, too.
func Detect(name string, data []byte) bool {
	rec := newRecords(name, data)
	if !rec.opens() {
		return false
	}
	f, err := rec.record()
	return err == nil && known(f)
}

// records reads JSON values one after another, or the elements of one array, and knows the line of each.
type records struct {
	name  string
	data  []byte
	dec   *json.Decoder
	array bool
	begun bool

	line, counted int // line of the byte at offset counted
}

func newRecords(name string, data []byte) *records {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	return &records{name: name, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
}

// opens reports whether the data begins like JSON records.
func (r *records) opens() bool {
	head := bytes.TrimLeft(r.data, " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

// next returns the next document, or io.EOF.
func (r *records) next(as Form) (document, error) {
	f, err := r.record()
	if err != nil {
		return document{}, err
	}
	doc, err := readRecord(f, as)
	if err != nil {
		return document{}, r.fail(err)
	}
	return doc, nil
}

// record returns the fields of the next record, or io.EOF.
func (r *records) record() (*fields, error) {
	if !r.begun {
		r.begun = true
		if r.array = r.opens() && bytes.TrimLeft(r.data, " \t\r\n")[0] == '['; r.array {
			if _, err := r.dec.Token(); err != nil {
				return nil, r.fail(err)
			}
		}
	}
	r.seek()
	if r.array && !r.dec.More() {
		return nil, r.end()
	}
	var value json.RawMessage
	if err := r.dec.Decode(&value); err == io.EOF && !r.array {
		return nil, io.EOF
	} else if err != nil {
		return nil, r.fail(err)
	}
	switch kindOf(value) {
	case "object":
	case "null":
		value = json.RawMessage("{}")
	default:
		return nil, r.fail(fmt.Errorf("a record must be a JSON object, not a %s", kindOf(value)))
	}
	f, err := decodeFields(value)
	if err != nil {
		return nil, r.fail(err)
	}
	return f, nil
}

// end reads the closing bracket of the array and makes sure that nothing follows.
func (r *records) end() error {
	if _, err := r.dec.Token(); err != nil {
		return r.fail(err)
	}
	if _, err := r.dec.Token(); err != io.EOF {
		r.seek()
		return r.fail(errors.New("text after the end of the array"))
	}
	return io.EOF
}

// seek moves the line count to where the next record begins.
func (r *records) seek() {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && strings.IndexByte(" \t\r\n,", r.data[at]) >= 0 {
		at++
	}
	r.line += bytes.Count(r.data[r.counted:at], []byte("\n"))
	r.counted = at
}

func (r *records) fail(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the JSON ends too early; is the file complete?")
	}
	if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
		for _, no := range []string{"NaN", "Infinity"} {
			if strings.Contains(s.Error(), "'"+no[:1]+"'") && bytes.Contains(r.data[r.counted:], []byte(no)) {
				err = fmt.Errorf("%s is no JSON, though Python writes and reads it; write null", no)
			}
		}
	}
	return fmt.Errorf("%s:%d: %w", r.name, r.line, err)
}
