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
	t := &Task{Convention: Harness, Norm: Characters}
	if name == WinoGrande {
		t.Norm = NoNorm
	}
	n := -1 // of rows: not counted yet
	err := eachRow(data, func(i int, r row) error {
		choices, right, err := build(r)
		var missing *noLabel
		if errors.As(err, &missing) && beside != nil {
			if n < 0 {
				var err error
				if n, err = countRows(data); err != nil {
					return err
				}
			}
			if err = beside.give(r, missing, i, n); err == nil {
				choices, right, err = build(r)
			}
		}
		if err == nil && (right < 0 || right >= len(choices)) {
			err = fmt.Errorf("it has %d choices and none is the right one", len(choices))
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
		t.Items = append(t.Items, single(i+1, choices, right))
		return nil
	})
	if err != nil {
		return nil, &FormError{name, err.Error()}
	}
	return t, nil
}

// countRows counts the objects.
func countRows(data []byte) (n int, err error) {
	err = eachRow(data, func(int, row) error {
		n++
		return nil
	})
	return n, err
}

// eachRow calls do with the objects of the three arrangements, one at a time: all at once they are several times as large as the file.
func eachRow(data []byte, do func(i int, r row) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	n := 0
	next := func(r row) error {
		n++
		return do(n-1, r)
	}
	for {
		rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n")
		if len(rest) == 0 {
			return nil
		}
		if rest[0] == '[' {
			if err := eachElement(d, errors.New("it is a JSON array, but not of objects"), &n, next); err != nil {
				return err
			}
			continue
		}
		var r row
		if err := d.Decode(&r); err != nil {
			var typ *json.UnmarshalTypeError
			if errors.As(err, &typ) {
				return fmt.Errorf("item %d is no JSON object", n+1)
			}
			return noJSON(n, err)
		}
		if inner, ok := r["rows"]; ok {
			wrong := errors.New(`its "rows" are not those of the Hugging Face datasets server`)
			if inner[0] != '[' {
				return wrong
			}
			wrapped := func(l struct{ Row row }) error { return next(l.Row) }
			if err := eachElement(json.NewDecoder(bytes.NewReader(inner)), wrong, &n, wrapped); err != nil {
				return err
			}
			continue
		}
		if err := next(r); err != nil {
			return err
		}
	}
}

// eachElement reads the array that comes next. wrong is the error about an element that is no T, and n counts the rows so far.
func eachElement[T any](d *json.Decoder, wrong error, n *int, do func(T) error) error {
	if _, err := d.Token(); err != nil {
		return noJSON(*n, err)
	}
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			var typ *json.UnmarshalTypeError
			if errors.As(err, &typ) {
				return wrong
			}
			return noJSON(*n, err)
		}
		if err := do(v); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return noJSON(*n, err)
	}
	return nil
}

func noJSON(after int, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("after item %d it is no JSON: %w", after, err)
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
