package tasks

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFile is the largest file that is read, in bytes: the largest published set has 50 MB.
const maxFile = 1 << 30

// ReadFile reads the evaluation set name from the file at path, whose form is seen from what it holds. An error names the file
// once; one that says that the form is wrong wraps a [FormError]. Where JSON items lack their right answers, these are read from
// the file beside it: of valid.jsonl, valid-labels.lst.
func ReadFile(name, path string) (*Task, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB; it is no evaluation set", filepath.Base(path), maxFile>>20)
	}
	t, err := parseWith(name, data, labelsBeside(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse reads an evaluation set from a file's content.
func Parse(name string, data []byte) (*Task, error) { return parseWith(name, data, nil) }

// parseWith is Parse with the labels that are beside the file, if any.
func parseWith(name string, data []byte, beside *labels) (*Task, error) {
	name = CanonicalName(name)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	t, err := parse(name, data, beside)
	if err != nil {
		return nil, err
	}
	if len(t.Items) == 0 {
		return nil, &FormError{name, "it holds no item"}
	}
	t.Name = name
	return t, nil
}

func parse(name string, data []byte, beside *labels) (*Task, error) {
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, &FormError{name, "it is empty"}
	case bytes.HasPrefix(data, []byte("PAR1")):
		return nil, &FormError{name, `it is Parquet; turn it into JSON lines, such as by duckdb -c "COPY 'x.parquet' TO 'x.jsonl' (FORMAT json)"`}
	case bytes.IndexByte(data[:min(len(data), 64)], 0) >= 0:
		return parseBinary(name, data)
	case text[0] == '{' || text[0] == '[':
		return parseJSON(name, data, beside)
	case name == HellaSwag:
		return parseHellaSwagText(string(data))
	case name == WinoGrande:
		return parseWinoGrandeCSV(string(data))
	}
	return nil, &FormError{name, fmt.Sprintf("it begins with the text %q", firstLine(text))}
}

// firstLine is the beginning of data for an error.
func firstLine(data []byte) string {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if len(line) > 40 {
		return string(bytes.ToValidUTF8(line[:40], nil)) + "..."
	}
	return string(line)
}
