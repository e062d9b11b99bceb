package strategy

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

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

var someSHA = strings.Repeat("0123456789abcdef", 4)

func someHeader() journal.Header {
	return journal.Header{ModelSHA256: someSHA, TokensSHA256: someSHA, Config: json.RawMessage(`{"seed":1}`), Tool: "v1", LlamaCpp: "v0.5.0"}
}

func openJournal(t testing.TB, path string) *journal.Journal[search.Measurement] {
	t.Helper()
	j, err := journal.Open[search.Measurement](path, someHeader(), journal.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// journaled runs fast, and then refine's exchanges, on src with the journal at path.
func journaled(t testing.TB, src *searchtest.Texts, path string, refine bool) (*search.Result, *search.Refined, *search.Ledger, error) {
	t.Helper()
	model := searchtest.PlainModel(6)
	j := openJournal(t, path)
	defer j.Close()
	l := search.NewLedger(src, searchtest.PlainCost(model), j, "ppl")
	f := NewFast(l, 4)
	if !refine {
		r, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 5}, nil)
		return r, nil, l, err
	}
	s, v := Halves(src.N, 4)
	re := &Refine{Ledger: l, Rule: f.Rule, Seed: 4, Search: s, Validation: v, Children: 6, Patience: 2}
	r, refined, err := RunRefine(t.Context(), f, re, NewFast(l, 4), model, blockmask.Mix, search.Goal{Blocks: 4}, nil)
	return r, refined, l, err
}

func journalTexts() *searchtest.Texts {
	return &searchtest.Texts{N: 16, Mean: searchtest.Layered("j"), Noise: .03, Branching: true}
}

// Killed after any number of runs, a search that is resumed gives the same result, to the last bit, and runs nothing again but what
// was under way.
func TestResumeAfterEveryRun(t *testing.T) {
	t.Parallel()
	for _, refine := range []bool{false, true} {
		src := journalTexts()
		want, wantRefined, ledger, err := journaled(t, src, filepath.Join(t.TempDir(), "plan.journal"), refine)
		if err != nil {
			t.Fatal(err)
		}
		all := src.Told
		for die := 1; die <= all; die += 1 + all/60 {
			path := filepath.Join(t.TempDir(), "plan.journal")
			src := journalTexts()
			src.Die = die
			if _, _, _, err := journaled(t, src, path, refine); !errors.Is(err, searchtest.ErrKilled) {
				t.Fatalf("killed at %d of %d: %v", die, all, err)
			}
			src.Die = 0
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
			if src.Told > all+2 {
				t.Errorf("killed at %d: %d runs instead of %d", die, src.Told, all)
			}
		}
	}
}

// A journal cut off at any byte is opened, keeps what is whole, and leads to the same end.
func TestJournalTornAtEveryByte(t *testing.T) {
	t.Parallel()
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
		if len(j.Records()) != complete {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(j.Records()), complete)
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

// A journal that an earlier version of the program has left is taken up: nothing that is in it runs again, and not a byte is changed.
func TestJournalOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(filepath.Join("testdata", "fast.journal"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plan.journal")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	src := journalTexts()
	src.Mean = func(m blockmask.Mask) float64 {
		if m.Has(blockmask.Block{Layer: 2, Kind: blockmask.FFN}) {
			return math.Inf(1)
		}
		return searchtest.Layered("j")(m)
	}
	r, _, _, err := journaled(t, src, path, false)
	if err != nil || len(r.Steps) != 5 || src.Told != 0 {
		t.Errorf("%d runs for %d steps, %v", src.Told, len(r.Steps), err)
	}
	j := openJournal(t, path)
	defer j.Close()
	var s Schedule
	if err := json.Unmarshal(j.Note("schedule"), &s); err != nil || s != (Schedule{Sequences: 16, Admit: 3, Finalists: 1, Predicted: 1e4}) {
		t.Errorf("%+v, %v", s, err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the journal was changed: %v", err)
	}
	// Begun anew, it is the same, but for the note.
	fresh := filepath.Join(t.TempDir(), "plan.journal")
	if _, _, _, err := journaled(t, src, fresh, false); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(fresh)
	if err != nil || !bytes.Equal(now, old[:bytes.LastIndexByte(old[:len(old)-1], '\n')+1]) {
		t.Errorf("a new journal of the same search differs: %v", err)
	}
}
