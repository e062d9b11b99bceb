package perplexity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// record is one JSON document in any of the known forms.
type record struct {
	Text          *string `json:"text"`
	Instruction   *string `json:"instruction"`
	Input         string  `json:"input"`
	Output        string  `json:"output"`
	Conversations []turn  `json:"conversations"`
}

type turn struct {
	From  string `json:"from"`
	Value string `json:"value"`
}

// form returns which format the record has, "" if none.
func (r *record) form() Format {
	switch {
	case r.Conversations != nil:
		return ShareGPT
	case r.Instruction != nil:
		return Alpaca
	case r.Text != nil:
		return JSONText
	}
	return ""
}

func (r *record) document(as Format) string {
	switch as {
	case ShareGPT:
		return conversation(r.Conversations)
	case Alpaca:
		return alpaca(*r.Instruction, r.Input, r.Output)
	default:
		return *r.Text
	}
}

// has reports whether the record can be read as a document of format f. A record may have several forms: Alpaca's
// published set has the filled template as "text" besides its parts.
func (r *record) has(f Format) bool {
	switch f {
	case ShareGPT:
		return r.Conversations != nil
	case Alpaca:
		return r.Instruction != nil
	default:
		return r.Text != nil
	}
}

// alpaca fills the prompt template of Stanford Alpaca, whose texts BlockPruner calibrates on.
func alpaca(instruction, input, output string) string {
	var b strings.Builder
	b.WriteString("Below is an instruction that describes a task")
	if input != "" {
		b.WriteString(", paired with an input that provides further context")
	}
	b.WriteString(". Write a response that appropriately completes the request.\n\n### Instruction:\n" + instruction)
	if input != "" {
		b.WriteString("\n\n### Input:\n" + input)
	}
	b.WriteString("\n\n### Response:\n" + output)
	return b.String()
}

// conversation writes turns as Vicuna's training texts have them, which needs no model's chat template: "USER: ..." and
// "ASSISTANT: ..." on lines of their own, after a bare system text.
func conversation(turns []turn) string {
	var lines []string
	for _, t := range turns {
		if role := t.role(); role == "system" {
			lines = append(lines, t.Value)
		} else {
			lines = append(lines, strings.ToUpper(role)+": "+t.Value)
		}
	}
	return strings.Join(lines, "\n")
}

// readRecords returns the documents of a JSON corpus, blank ones left out, and the messages of those that have some; nil if none
// has. format "" takes each record's own form.
func readRecords(name string, data []byte, format Format) (docs []string, turns [][]engine.Message, err error) {
	recs := newRecords(name, data)
	chat := false
	for {
		rec, as, err := recs.next(format)
		if err == io.EOF {
			if !chat {
				turns = nil
			}
			return docs, turns, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if doc := rec.document(as); strings.TrimSpace(doc) != "" {
			docs, turns = append(docs, doc), append(turns, rec.messages(as))
			chat = chat || turns[len(turns)-1] != nil
		}
	}
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

// next returns the next record and the form that it is to be read in, or io.EOF.
func (r *records) next(format Format) (*record, Format, error) {
	if !r.begun {
		r.begun = true
		if r.array = r.opens() && bytes.TrimLeft(r.data, " \t\r\n")[0] == '['; r.array {
			if _, err := r.dec.Token(); err != nil {
				return nil, "", r.fail(err)
			}
		}
	}
	r.seek()
	if r.array && !r.dec.More() {
		return nil, "", r.end()
	}
	var rec record
	if err := r.dec.Decode(&rec); err == io.EOF && !r.array {
		return nil, "", io.EOF
	} else if err != nil {
		return nil, "", r.fail(err)
	}
	if format == "" {
		format = rec.form()
	}
	if format == "" || !rec.has(format) {
		return nil, "", r.fail(missing(format))
	}
	return &rec, format, nil
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
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ) && typ.Field == "":
		err = fmt.Errorf("a record must be a JSON object, not a %s", typ.Value)
	case errors.As(err, &typ):
		err = fmt.Errorf("%q must not be a %s", typ.Field, typ.Value)
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the JSON ends too early; is the file complete?")
	}
	return fmt.Errorf("%s:%d: %w", r.name, r.line, err)
}

func missing(f Format) error {
	switch f {
	case Alpaca:
		return errors.New(`no "instruction" in this record, which Alpaca's form needs`)
	case ShareGPT:
		return errors.New(`no "conversations" in this record, which ShareGPT's form needs`)
	case JSONText:
		return errors.New(`no "text" in this record`)
	}
	return errors.New(`unknown record: it needs "text", "instruction" and "output", or "conversations"`)
}
