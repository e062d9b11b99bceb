package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// FuzzJournal reads any bytes behind a header.
func FuzzJournal(f *testing.F) {
	text, err := line(note{Name: "x", Value: json.RawMessage("1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{\"crc32c\":\"00000000\",\"r\":}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bounded(t, len(data), func() {
			j := &Journal[entry]{notes: map[string]json.RawMessage{}}
			if end := j.read(data); end < 0 || end > len(data) || end > 0 && data[end-1] != '\n' {
				t.Errorf("read %d of %d", end, len(data))
			}
		})
	})
}

// FuzzRecords reads any records with right checksums, one to a line of records, and any tail. What is not cut off is there again when a
// record was appended and the journal is opened once more.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"n":1,"text":"a"}`+"\n"+`{"note":"x","value":[1]}`), []byte{})
	f.Add([]byte(`{"n":1,"n":-1}`), []byte("{"))
	f.Add([]byte(`{"note":"x"}`+"\n"+`{"note":"x","value":null}`+"\n"+`{"NOTE":"y","n":1}`), []byte("\x00\n"))
	f.Add([]byte("null\n7\n[]\n{}\n\n"), []byte{})
	f.Add([]byte(`{"note":`+"\n"+`{"n":1e99}`), []byte(`{"crc32c":"00000000","r":}`+"\n"))
	path := filepath.Join(f.TempDir(), "journal")
	head, err := line(headerRecord{Format: format, Version: version, Header: someHeader()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, records, tail []byte) {
		data := bytes.Clone(head)
		for _, body := range bytes.Split(records, []byte("\n")) {
			data = append(data, wrap(body)...)
		}
		data = append(data, tail...)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		fuzztest.Bounded(t, len(data), func() {
			j, err := Open[entry](path, someHeader(), someJob)
			if err != nil {
				t.Fatal(err)
			}
			found, notes := j.Records(), j.Notes("")
			if j.Cut < 0 || j.Cut > int64(len(data)-len(head)) {
				t.Errorf("%d of %d bytes were cut off", j.Cut, len(data)-len(head))
			}
			for _, r := range found {
				if !r.Valid() {
					t.Errorf("the record %+v makes no sense", r)
				}
			}
			next := entry{7, "next"}
			if err := errors.Join(j.Append(next), j.Close()); err != nil {
				t.Fatal(err)
			}
			again := open(t, path)
			defer again.Close()
			if !slices.Equal(again.Records(), append(found, next)) || again.Notes("") != notes || again.Cut != 0 {
				t.Errorf("%v and %d notes became %v and %d notes, %d bytes cut off", found, notes, again.Records(), again.Notes(""), again.Cut)
			}
		})
	})
}

// FuzzHeader opens any bytes as a journal of this run: it is none, or one that has just been begun.
func FuzzHeader(f *testing.F) {
	head, err := line(headerRecord{Format: format, Version: version, Header: someHeader()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Add(head[:20])
	f.Add([]byte("{}\n"))
	f.Add(wrap([]byte(`{"format":"ggufprune-journal","version":2}`)))
	f.Add(wrap([]byte(`{"format":"ggufprune-journal","version":1,"config":{"seed":2}}`)))
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		fuzztest.Bounded(t, len(data), func() {
			j, err := Open[entry](path, someHeader(), someJob)
			if err != nil {
				foreign := (*ForeignError)(nil)
				if fuzztest.OneLine(t, err, len(path)); !errors.As(err, &foreign) {
					t.Errorf("%v is no %T", err, foreign)
				}
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
					t.Errorf("what is of another run was changed: %v", err)
				}
				return
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}
