package forms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// fields are those of a JSON object, by their names in lower case: what has a value that is not null.
type fields struct {
	names  []string // in the order of the file, as the file spells them
	values map[string]json.RawMessage
	used   map[string]bool // that were read
}

// decodeFields reads an object. A name that comes twice is refused: one of its values would be lost.
func decodeFields(data json.RawMessage) (*fields, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	f := &fields{values: map[string]json.RawMessage{}, used: map[string]bool{}}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		key := strings.ToLower(name.(string))
		if seen[key] {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		if seen[key] = true; string(value) != "null" {
			f.names, f.values[key] = append(f.names, name.(string)), value
		}
	}
	return f, nil
}

func (f *fields) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return f.values[n] == nil })
}

// first returns the first of names that is there, "" for none.
func (f *fields) first(names ...string) string {
	for _, n := range names {
		if f.has(n) {
			return n
		}
	}
	return ""
}

// text returns the text of a field, "" where it is not there.
func (f *fields) text(name string) (string, error) {
	f.used[name] = true
	value, ok := f.values[name]
	if !ok {
		return "", nil
	}
	var s string
	if json.Unmarshal(value, &s) != nil {
		return "", wrongKind(name, value)
	}
	return s, nil
}

// elements calls f with each element of a field, one at a time: of a hostile record's millions most are none.
func (f *fields) elements(name string, do func(i int, value json.RawMessage) error) error {
	f.used[name] = true
	value := f.values[name]
	if kindOf(value) != "array" {
		return wrongKind(name, value)
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for i := 0; dec.More(); i++ {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return err
		}
		if err := do(i, element); err != nil {
			return err
		}
	}
	return nil
}

func wrongKind(name string, value json.RawMessage) error {
	return fmt.Errorf("%q must not be a %s", name, kindOf(value))
}

// kindOf is what encoding/json calls the value.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// unread returns an error if a field that was not read carries text: a number that is measured on half of a record would look like
// any other. Fields that only say where a record is from may have text, and so may those whose text stands in what was read, as
// a turn or as a part of one. but is a name that is no such field here.
func (f *fields) unread(but string, read ...string) error {
	whole := map[string]bool{} // what was read, and what stands in it
	for _, text := range read {
		whole[strings.TrimSpace(text)] = true
	}
	parts := 0
	within := func(text string) bool {
		parts++
		return parts <= mostParts && len(text) >= notByChance && slices.ContainsFunc(read, func(s string) bool { return strings.Contains(s, text) })
	}
	for _, name := range f.names {
		key := strings.ToLower(name)
		if f.used[key] || aboutRecord(key) && key != but {
			continue
		}
		for text := range texts(f.values[key]) {
			text = strings.TrimSpace(text)
			if !whole[text] && !within(text) {
				return unreadError(name)
			}
			whole[text] = true
		}
	}
	return nil
}

// notByChance is how many bytes of a text do not stand in another one by chance, and mostParts how many such texts are looked for in a
// record: each costs a pass through all that was read.
const notByChance, mostParts = 24, 1000

func unreadError(name string) error {
	why := "text that no form known here has"
	switch strings.ToLower(name) {
	case "chosen", "rejected":
		why = "one of two answers of a preference set; keep one as the assistant's, and"
	case "tools", "tool_calls", "function_call", "functions":
		why = "tools, which are not rendered here; take records without them, or"
	case "thinking", "reasoning_content", "reasoning":
		why = `thoughts apart from the answer; put them into it, as "<think>...</think>", or`
	case "images", "image", "videos", "audios":
		why = "the names of images or sounds, which are not read; take records without them, or"
	default:
		why += ":"
	}
	return fmt.Errorf("%q holds %s drop the field (jq -c 'del(.. | objects | .[%q])' does it)", name, why, name)
}

// texts yields the texts in a value, which is JSON, that are more than white space or an empty list, but not the names of fields.
func texts(value json.RawMessage) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i < len(value); i++ {
			if value[i] != '"' {
				continue
			}
			begin := i
			for i++; i < len(value) && value[i] != '"'; i++ {
				if value[i] == '\\' {
					i++
				}
			}
			i = min(i, len(value)-1)
			var text string
			if bytes.HasPrefix(bytes.TrimLeft(value[i+1:], " \t\r\n"), []byte(":")) || json.Unmarshal(value[begin:i+1], &text) != nil {
				continue
			}
			if s := strings.TrimSpace(text); s != "" && s != "[]" && s != "{}" && !yield(text) {
				return
			}
		}
	}
}

// about are names of fields that say what a record is and where it is from, in published sets. Their text is none that a model
// is to read.
var about = func() map[string]bool {
	out := map[string]bool{}
	for name := range strings.FieldsSeq(`id ids idx index uuid guid hash sha256 md5 source src sources origin dataset dataset_name data_source subset
		split config domain url urls link links license licence lang language languages category categories tag tags topic topics
		full_topic task task_type task_name difficulty quality score scores rating model model_name model_id generator author date
		created created_at added updated_at timestamp time dump meta metadata path file filename file_path version audience format
		red_pajama_subset pile_set_name kto_tag label labels weight train training train_detail`) {
		out[name] = true
	}
	return out
}()

// aboutRecord reports whether a field's name, in lower case, is one of about, or an identity.
func aboutRecord(name string) bool {
	return about[name] || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_url") || strings.HasSuffix(name, "_hash")
}
