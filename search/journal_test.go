package search_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// memory is a journal in memory.
type memory struct {
	found, kept []search.Measurement
	fail        error
}

func (m *memory) Records() []search.Measurement { return m.found }
func (m *memory) Sync() error                   { return nil }

func (m *memory) Append(x search.Measurement) error {
	m.kept = append(m.kept, x)
	return m.fail
}

// Losses come back as they were, the first of each; what is of another part or of no sequence does not count.
func TestJournalKeepsLosses(t *testing.T) {
	t.Parallel()
	m := searchtest.Mask(t, "attn:1,ffn:2-3")
	key := search.MaskKey(m.Key())
	inf := math.Inf(1)
	j := &memory{found: []search.Measurement{
		{"a", key, []int{3, 0}, []jsonnum.Float{0.3, jsonnum.Float(inf)}},
		{"a", "", []int{1}, []jsonnum.Float{5e-324}},
		{"b", key, []int{3}, []jsonnum.Float{7}},
		{"a", key, []int{3, 2, 99}, []jsonnum.Float{1, 2, 3}},
	}}
	text, err := json.Marshal(j.found)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"part":"a","mask":"attn:1,ffn:2-3","seqs":[3,0],"loss":[0.3,null]},{"part":"a","mask":"","seqs":[1],"loss":[5e-324]},`
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("%s, want %s...", text, want)
	}
	j.found = nil
	if err := json.Unmarshal(text, &j.found); err != nil {
		t.Fatal(err)
	}
	src := &searchtest.Texts{N: 4, Mean: searchtest.Layered("j"), Branching: true}
	l := search.NewLedger(src, searchtest.PlainCost(searchtest.PlainModel(4)), j, "a")
	if err := l.Measure(t.Context(), l.Sequences(), m, nil, true); err != nil {
		t.Fatal(err)
	}
	// The first batch is 0, 1, 2, of which 1 and 2 are not known; the second is 3.
	if got := l.Means([]int{3}, m); src.Told != 1 || got[0] != 0.3/(searchtest.TextTokens-1) {
		t.Errorf("%d runs, %v", src.Told, got)
	}
	if len(j.kept) != 1 || !j.kept[0].Valid() || j.kept[0].Part != "a" || !cmp.Equal(j.kept[0].Sequences, []int{0, 1, 2}) {
		t.Errorf("%+v", j.kept)
	}
	for _, bad := range []search.Measurement{{}, {Sequences: []int{1}}, {Losses: []jsonnum.Float{1}}} {
		if bad.Valid() {
			t.Errorf("%+v is valid", bad)
		}
	}
}

// When a journal cannot be written, the search ends with the error.
func TestJournalWriteFails(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	l := search.NewLedger(&searchtest.Texts{N: 16, Mean: searchtest.Layered("j")}, searchtest.PlainCost(searchtest.PlainModel(2)), &memory{fail: full}, "")
	if _, _, err := l.Score(t.Context(), nil, nil); !errors.Is(err, full) {
		t.Errorf("writing failed: %v", err)
	}
}
