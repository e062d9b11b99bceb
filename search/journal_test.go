package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
)

func someHeader() Header {
	return Header{ModelSHA256: someSHA, TokensSHA256: someSHA, Config: json.RawMessage(`{"seed":1}`), Tool: "v1", LlamaCpp: "v0.5.0"}
}

func openJournal(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, someHeader())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// journaled runs fast, and then refine's exchanges, on src with the journal at path.
func journaled(t testing.TB, src *texts, path string, refine bool) (*Result, *Refined, *Ledger, error) {
	t.Helper()
	model := plainModel(6)
	j := openJournal(t, path)
	defer j.Close()
	l := NewLedger(src, plainCost(model), j, "ppl")
	f := NewFast(l, 4)
	if !refine {
		r, err := Run(t.Context(), f, model, blockmask.Mix, Goal{Blocks: 5}, nil)
		return r, nil, l, err
	}
	s, v := Halves(src.n, 4)
	re := &Refine{Ledger: l, Rule: f.Rule, Seed: 4, Search: s, Validation: v, Children: 6, Patience: 2}
	r, refined, err := RunRefine(t.Context(), f, re, NewFast(l, 4), model, blockmask.Mix, Goal{Blocks: 4}, nil)
	return r, refined, l, err
}

func journalTexts() *texts { return &texts{n: 16, mean: layered("j"), noise: .03, branches: true} }

// Killed after any number of runs, a search that is resumed gives the same result, to the last bit, and runs nothing again but what
// was under way.
func TestResumeAfterEveryRun(t *testing.T) {
	for _, refine := range []bool{false, true} {
		src := journalTexts()
		want, wantRefined, ledger, err := journaled(t, src, filepath.Join(t.TempDir(), "plan.journal"), refine)
		if err != nil {
			t.Fatal(err)
		}
		all := src.told
		for die := 1; die <= all; die += 1 + all/60 {
			path := filepath.Join(t.TempDir(), "plan.journal")
			src := journalTexts()
			src.die = die
			if _, _, _, err := journaled(t, src, path, refine); !errors.Is(err, errKilled) {
				t.Fatalf("killed at %d of %d: %v", die, all, err)
			}
			src.die = 0
			got, refined, l, err := journaled(t, src, path, refine)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("killed at %d of %d: -undisturbed +resumed\n%s", die, all, diff)
			}
			if diff := cmp.Diff(wantRefined, refined); diff != "" || l.Spent() != ledger.Spent() {
				t.Fatalf("killed at %d of %d: cost %v, undisturbed %v\n%s", die, all, l.Spent(), ledger.Spent(), diff)
			}
			// The base of a batch may have to run again for its boundaries.
			if src.told > all+2 {
				t.Errorf("killed at %d: %d runs instead of %d", die, src.told, all)
			}
		}
	}
}

// A journal cut off at any byte is opened, keeps what is whole, and leads to the same end.
func TestJournalTornAtEveryByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	want, _, _, err := journaled(t, journalTexts(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	head := len(lines[0]) + len(lines[1]) + len(lines[2]) // every byte of these, and some of the others
	for cut := 0; cut <= len(whole); cut++ {
		if cut > head && cut%251 != 0 && cut < len(whole)-3 {
			continue
		}
		torn := filepath.Join(t.TempDir(), "torn.journal")
		if err := os.WriteFile(torn, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, torn)
		complete := max(0, bytes.Count(whole[:cut], []byte("\n"))-1)
		if j.Found() != complete {
			t.Fatalf("cut at %d: %d records, want %d", cut, j.Found(), complete)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if cut%7 != 0 {
			continue
		}
		got, _, _, err := journaled(t, journalTexts(), torn, false)
		if err != nil || !cmp.Equal(want, got) {
			t.Fatalf("cut at %d: %v\n%s", cut, err, cmp.Diff(want, got))
		}
		if now, err := os.ReadFile(torn); err != nil || !bytes.Equal(now, whole) {
			t.Fatalf("cut at %d: the journal ends otherwise, %v", cut, err)
		}
	}
}

// A flipped bit costs what stands behind it and is never believed.
func TestJournalWithFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	if _, _, _, err := journaled(t, journalTexts(), path, false); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(whole, '\n') + 1
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(first, len(whole)-1).Draw(t, "at")
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		j := &Journal{notes: map[string]json.RawMessage{}}
		end := j.read(bad[first:])
		if want := bytes.LastIndexByte(whole[:at], '\n') + 1 - first; end != want {
			t.Fatalf("bit flipped at %d: read up to %d, want %d", at, end, want)
		}
	})
}

func TestForeignJournals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	if err := openJournal(t, path).Close(); err != nil {
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
		j, err := OpenJournal(path, h)
		var foreign *ForeignJournalError
		if !errors.As(err, &foreign) || j != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%s: %v", want, err)
		}
	}
	before, _ := os.ReadFile(path)
	for _, content := range []string{"a letter to my mother\n", "{}\n", strings.Repeat("x", 10000), string(before[:40]) + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var foreign *ForeignJournalError
		if _, err := OpenJournal(path, someHeader()); !errors.As(err, &foreign) || !strings.Contains(err.Error(), "no journal") {
			t.Errorf("%.20q: %v", content, err)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%.20q was changed", content)
		}
	}
}

func TestJournalLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	j := openJournal(t, path)
	if _, err := OpenJournal(path, someHeader()); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := j.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("removed: %v", err)
	}
	if err := openJournal(t, path).Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenJournal(filepath.Join(t.TempDir(), "no", "such", "folder"), someHeader()); err == nil {
		t.Error("a journal in no folder")
	}
}

// Notes and losses come back as they were, the last note and the first loss of each.
func TestJournalKeepsValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	j := openJournal(t, path)
	m := mask(t, "attn:1,ffn:2-3")
	for _, x := range []measurement{
		{"a", m, []int{3, 0}, []float64{0.1 + 0.2, math.Inf(1)}},
		{"a", nil, []int{1}, []float64{5e-324}},
		{"b", m, []int{3}, []float64{7}},
		{"a", m, []int{3, 2, 99}, []float64{1, 2, 3}},
	} {
		if err := j.append(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.SetNote("n", 1), j.SetNote("n", Schedule{Sequences: 3}), j.Close()); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	defer j.Close()
	nan := math.NaN()
	want := map[string][]float64{m.String(): {math.Inf(1), nan, nan, 0.1 + 0.2}, "": {nan, 5e-324, nan, nan}}
	same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff(want, j.losses("a", 4), same); diff != "" || j.Found() != 4 {
		t.Errorf("%d measurements\n%s", j.Found(), diff)
	}
	var s Schedule
	if err := json.Unmarshal(j.Note("n"), &s); err != nil || s.Sequences != 3 || j.Note("other") != nil {
		t.Errorf("note %s, %v", j.Note("n"), err)
	}
}

// When the disk is full, the search ends with the error, and nothing is written behind a torn line.
func TestJournalWriteFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.journal")
	j := openJournal(t, path)
	j.file.Close()
	model := plainModel(2)
	l := NewLedger(journalTexts(), plainCost(model), j, "")
	if _, _, err := l.Score(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "journal") {
		t.Errorf("writing failed: %v", err)
	}
	if err := j.append(measurement{}); err == nil {
		t.Error("written behind a failed write")
	}
}

func FuzzJournal(f *testing.F) {
	text, err := line(record{Note: "x", Value: json.RawMessage("1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{\"crc32c\":\"00000000\",\"r\":}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		j := &Journal{notes: map[string]json.RawMessage{}}
		if end := j.read(data); end < 0 || end > len(data) || end > 0 && data[end-1] != '\n' {
			t.Errorf("read %d of %d", end, len(data))
		}
		for _, m := range j.found {
			if len(m.Sequences) != len(m.Losses) {
				t.Errorf("%+v", m)
			}
		}
		j.losses("", 3)
	})
}
