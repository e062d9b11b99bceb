package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// entry is a record of some job.
type entry struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

func (e entry) Valid() bool { return e.N > 0 }

var (
	someSHA = strings.Repeat("0123456789abcdef", 4)
	someJob = Owner{Job: "search", File: "plan"}
)

func someHeader() Header {
	return Header{ModelSHA256: someSHA, TokensSHA256: someSHA, Config: json.RawMessage(`{"seed":1}`), Tool: "v1", LlamaCpp: "v0.5.0"}
}

func open(t testing.TB, path string) *Journal[entry] {
	t.Helper()
	j, err := Open[entry](path, someHeader(), someJob)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// written makes a journal of a few records and notes, and returns its bytes.
func written(t testing.TB, path string) []byte {
	t.Helper()
	j := open(t, path)
	for n := range 3 {
		if err := errors.Join(j.Append(entry{n + 1, strings.Repeat("a<b>\n", n)}), j.SetNote("n", n), j.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What was kept comes back: the records in their order, of each note the last value.
func TestJournalKeepsValues(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	written(t, path)
	j := open(t, path)
	defer j.Close()
	want := []entry{{1, ""}, {2, "a<b>\n"}, {3, "a<b>\na<b>\n"}}
	if diff := cmp.Diff(want, j.Records()); diff != "" {
		t.Error(diff)
	}
	if string(j.Note("n")) != "2" || j.Note("other") != nil || j.Notes("") != 1 || j.Notes("x") != 0 || j.Path() != path {
		t.Errorf("note %s of %d", j.Note("n"), j.Notes(""))
	}
	if j.Len() != 3 || j.Append(entry{4, ""}) != nil || j.SetNote("n", 3) != nil || j.Len() != 4 || len(j.Records()) != 3 {
		t.Errorf("%d records, %d of them there when it was opened", j.Len(), len(j.Records()))
	}
}

// A journal cut off at any byte is opened and keeps what is whole. What is appended then follows it.
func TestTornAtEveryByte(t *testing.T) {
	t.Parallel()
	whole := written(t, filepath.Join(t.TempDir(), "whole"))
	head := bytes.IndexByte(whole, '\n') + 1
	path := filepath.Join(t.TempDir(), "torn")
	for cut := range len(whole) + 1 {
		if cut < head-3 && cut%29 != 0 { // to begin anew takes two fsyncs
			continue
		}
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, path)
		kept := max(head, bytes.LastIndexByte(whole[:cut], '\n')+1)
		lines := bytes.Count(whole[:kept], []byte("\n")) - 1
		if len(j.Records()) != (lines+1)/2 || cut >= head && j.Cut != int64(cut-kept) {
			t.Fatalf("cut at %d: %d records of %d lines, %d bytes cut off", cut, len(j.Records()), lines, j.Cut)
		}
		if err := errors.Join(j.Append(entry{9, "next"}), j.Close()); err != nil {
			t.Fatal(err)
		}
		next, _ := line(entry{9, "next"})
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, append(bytes.Clone(whole[:kept]), next...)) {
			t.Fatalf("cut at %d: the journal is %q, %v", cut, now, err)
		}
	}
}

// A flipped bit costs what stands behind it and is never believed.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	whole := written(t, filepath.Join(t.TempDir(), "j"))
	first := bytes.IndexByte(whole, '\n') + 1
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(first, len(whole)-1).Draw(t, "at")
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		j := &Journal[entry]{notes: map[string]json.RawMessage{}}
		end := j.read(bad[first:])
		if want := bytes.LastIndexByte(whole[:at], '\n') + 1 - first; end != want {
			t.Fatalf("bit flipped at %d: read up to %d, want %d", at, end, want)
		}
	})
}

// What the journal's own job would not write ends it, like a torn line.
func TestRecordsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	good, _ := line(entry{1, "x"})
	for _, bad := range []any{entry{-1, "x"}, map[string]string{"n": "one"}, 7, map[string]int{"note": 1}} {
		second, _ := line(bad)
		j := &Journal[entry]{notes: map[string]json.RawMessage{}}
		if end := j.read(bytes.Join([][]byte{good, second, good}, nil)); end != len(good) {
			t.Errorf("%v: read up to %d, want %d", bad, end, len(good))
		}
	}
	if end := (&Journal[OnlyNotes]{}).read(good); end != 0 {
		t.Error("a record where only notes should be")
	}
}

func TestForeignJournals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.journal")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Header){
		"the model":                   func(h *Header) { h.ModelSHA256 = strings.Repeat("0", 64) },
		"the calibration text":        func(h *Header) { h.TokensSHA256 = strings.Repeat("0", 64) },
		"the version of llama.cpp":    func(h *Header) { h.LlamaCpp = "v0.6.0" },
		"the version of this program": func(h *Header) { h.Tool = "v2" },
		"what was asked for":          func(h *Header) { h.Config = json.RawMessage(`{"seed":2}`) },
	} {
		h := someHeader()
		change(&h)
		j, err := Open[entry](path, h, Owner{Job: "repair", File: "output"})
		want = "the journal " + path + " is of another repair: " + want + " differs; delete it to start anew, or give the output another name"
		if foreign := (*ForeignError)(nil); !errors.As(err, &foreign) || j != nil || err.Error() != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	before, _ := os.ReadFile(path)
	for _, content := range []string{"a letter to my mother\n", "{}\n", strings.Repeat("x", 10000), string(before[:40]) + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		foreign := (*ForeignError)(nil)
		if _, err := Open[entry](path, someHeader(), someJob); !errors.As(err, &foreign) || !strings.Contains(err.Error(), "no journal") {
			t.Errorf("%.20q: %v", content, err)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%.20q was changed", content)
		}
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.journal")
	j := open(t, path)
	if _, err := Open[entry](path, someHeader(), someJob); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "give the plan another name") {
		t.Errorf("opened twice: %v", err)
	}
	if err := j.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("removed: %v", err)
	}
	if err := open(t, path).Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open[entry](filepath.Join(t.TempDir(), "no", "such", "folder"), someHeader(), someJob); err == nil {
		t.Error("a journal in no folder")
	}
}

// When the disk is full, nothing is written behind the line that may be torn.
func TestNothingFollowsAFailedWrite(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "j"))
	whole := j.file
	j.file, _ = os.Open(os.DevNull) // cannot be written
	first := j.Append(entry{1, ""})
	j.file.Close()
	j.file = whole
	if first == nil || !strings.Contains(first.Error(), "journal: ") {
		t.Errorf("a write that failed: %v", first)
	}
	if err := j.Append(entry{2, ""}); !errors.Is(err, first) || j.Len() != 0 {
		t.Errorf("written behind a failed write: %v, %d records", err, j.Len())
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// A nil journal is none.
func TestNoJournal(t *testing.T) {
	t.Parallel()
	var j *Journal[entry]
	err := errors.Join(j.Append(entry{}), j.SetNote("n", 1), j.Sync(), j.Close(), j.Remove())
	if err != nil || j.Records() != nil || j.Note("n") != nil || j.Notes("") != 0 || j.Len() != 0 || j.Path() != "" {
		t.Error("a nil journal does something", err)
	}
}
