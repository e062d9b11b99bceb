package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// row is one object of a JSON form.
type row map[string]json.RawMessage

// parseJSON reads JSON lines, an array of objects, or the {"rows": [{"row": {...}}]} of the Hugging Face datasets server.
// Rows without the field for the right answer take it from beside, if they can.
func parseJSON(name string, data []byte, beside *labels) (*Task, error) {
	build, ok := builders[name]
	if !ok {
		return nil, &FormError{name, "it is JSON, for which a prompt is needed"}
	}
	rows, err := jsonRows(data)
	if err != nil {
		return nil, &FormError{name, err.Error()}
	}
	t := &Task{Convention: Harness, Norm: Characters}
	if name == WinoGrande {
		t.Norm = NoNorm
	}
	for i, r := range rows {
		choices, right, err := build(r)
		var missing *noLabel
		if errors.As(err, &missing) && beside != nil {
			if err = beside.give(r, missing, i, len(rows)); err == nil {
				choices, right, err = build(r)
			}
		}
		if err == nil && (right < 0 || right >= len(choices)) {
			err = fmt.Errorf("it has %d choices and none is the right one", len(choices))
		}
		if err != nil {
			return nil, &FormError{name, fmt.Sprintf("item %d: %v", i+1, err)}
		}
		t.Items = append(t.Items, single(i+1, choices, right))
	}
	return t, nil
}

// jsonRows returns the objects of the three arrangements.
func jsonRows(data []byte) ([]row, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var rows []row
	for {
		var value json.RawMessage
		err := d.Decode(&value)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("after item %d it is no JSON: %w", len(rows), err)
		}
		var r row
		if value[0] == '[' {
			var list []row
			if json.Unmarshal(value, &list) != nil {
				return nil, errors.New("it is a JSON array, but not of objects")
			}
			rows = append(rows, list...)
			continue
		}
		if json.Unmarshal(value, &r) != nil {
			return nil, fmt.Errorf("item %d is no JSON object", len(rows)+1)
		}
		if inner, ok := r["rows"]; ok {
			var list []struct{ Row row }
			if json.Unmarshal(inner, &list) != nil {
				return nil, errors.New(`its "rows" are not those of the Hugging Face datasets server`)
			}
			for _, l := range list {
				rows = append(rows, l.Row)
			}
			continue
		}
		rows = append(rows, r)
	}
}

// fields names what a row has, for errors.
func (r row) fields() string {
	var names []string
	for k := range r {
		names = append(names, k)
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], "...")
	}
	return strings.Join(names, ", ")
}

// text returns a string field.
func (r row) text(key string) (string, error) {
	var s *string
	if err := r.get(key, &s, "text"); err != nil {
		return "", err
	}
	return *s, nil
}

// get decodes a field into v, which points to a pointer or a slice; null is no value.
func (r row) get(key string, v any, what string) error {
	raw, ok := r[key]
	if !ok {
		return fmt.Errorf("there is no %q among its fields (%s)", key, r.fields())
	}
	if string(raw) == "null" || json.Unmarshal(raw, v) != nil {
		return fmt.Errorf("%q is not %s", key, what)
	}
	return nil
}

// texts returns several string fields.
func (r row) texts(keys ...string) ([]string, error) {
	out := make([]string, len(keys))
	for i, k := range keys {
		var err error
		if out[i], err = r.text(k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// label returns a number that may be written as a string.
func (r row) label(key string) (int, error) {
	raw, ok := r[key]
	if !ok {
		return 0, &noLabel{key, r.fields()}
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	if s == "" || s == "-1" {
		return 0, fmt.Errorf("%q is empty; take a split whose answers are public, validation for most sets", key)
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is %s, not a number", key, raw)
	}
	return n, nil
}
