package strategy

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
	"github.com/ggufprune/ggufprune/search"
)

// A candidate that the block before can make up for goes first, though without a repair it would be the worst.
func TestAwareSeesWhatARepairCanDo(t *testing.T) {
	t.Parallel()
	m := fittest.New(4)
	// Block 3 adds twice what block 2 adds: a map of block 2 makes up for it exactly. It reads the stream before block 2.
	m.A[3] = slices.Clone(m.A[2])
	for i := range m.A[2] {
		m.A[2][i], m.A[3][i] = m.A[2][i]*1e-3, m.A[2][i]*1e-3 // nearly linear, so that the stream between hardly matters
	}
	for i := range m.W[2] {
		m.W[2][i] *= 1e3
		m.W[3][i] = 2 * m.W[2][i]
	}
	for i := range m.W {
		m.First[i] = slices.Clone(m.W[i])
	}
	fitted, held := fittest.Parts()
	a := &Aware{Runner: m, Weights: m, Fit: fitted, Held: held}
	var candidates []blockmask.Mask
	for _, b := range m.Blocks() {
		candidates = append(candidates, blockmask.New(b))
	}
	got, err := a.Choose(t.Context(), nil, candidates)
	if err != nil {
		t.Fatal(err)
	}
	plain := map[string]float64{}
	for _, c := range candidates {
		loss, n := 0.0, 0
		for _, seqs := range held {
			rows, _ := m.EvalFrom(t.Context(), seqs, c, 0, fittest.Embed(seqs))
			for _, mean := range means(rows) {
				loss, n = loss+mean, n+1
			}
		}
		plain[c.Key()] = math.Exp(loss / float64(n))
	}
	at := func(i int) search.Candidate { return got.Scored[i] }
	if !(math.Log(at(3).Score) < 0.25*math.Log(plain["ffn:1"])) {
		t.Errorf("ffn:1 scores %g, without a map %g", at(3).Score, plain["ffn:1"])
	}
	if math.Abs(at(0).Score-plain["attn:0"]) > 1e-6*plain["attn:0"] {
		t.Errorf("attn:0 has no block before it, but scores %g in place of %g", at(0).Score, plain["attn:0"])
	}
	if got.Base != 1 {
		t.Errorf("the whole model's score is %g", got.Base)
	}
}

func TestAwareAdmitsTheBestOfTheLastStep(t *testing.T) {
	t.Parallel()
	a := &Aware{Admit: 2, last: map[string]float64{"attn:0": 3, "attn:1": 1, "attn:2": 2}}
	var all []blockmask.Mask
	for l := range 4 {
		all = append(all, blockmask.New(blockmask.Block{Layer: l}))
	}
	got := a.admit(all)
	if len(got) != 2 || got[0].String() != "attn:1" || got[1].String() != "attn:2" {
		t.Error(got)
	}
	if got := (&Aware{Admit: 2}).admit(all); len(got) != 4 {
		t.Error("the first step looks at all", got)
	}
}

// memory keeps notes, and fails when it has kept so many values.
type memory struct {
	notes map[string]json.RawMessage
	left  int
}

var errFull = errors.New("no space left")

func (m *memory) Note(name string) json.RawMessage { return m.notes[name] }

func (m *memory) SetNote(name string, value any) (err error) {
	if m.left--; m.left < 0 {
		return errFull
	}
	m.notes[name], err = json.Marshal(value)
	return err
}

func eachAlone(blocks []blockmask.Block) (out []blockmask.Mask) {
	for _, b := range blocks {
		out = append(out, blockmask.New(b))
	}
	return out
}

// Who races chooses like who looks at everything, for less, and scores nearly the same.
func TestAwareRaces(t *testing.T) {
	t.Parallel()
	m := fittest.New(6)
	fitted, held := fittest.Parts()
	choose := func(drop float64) search.Choice {
		a := &Aware{Runner: m, Weights: m, Fit: fitted, Held: held, Drop: drop, Cost: search.Cost{Blocks: m.Blocks(), Head: 1}}
		c, err := a.Choose(t.Context(), nil, eachAlone(m.Blocks()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	whole, raced := choose(0), choose(2)
	if raced.Best != whole.Best || raced.Scored[raced.Best].Score != whole.Scored[whole.Best].Score {
		t.Errorf("%+v in place of %+v", raced.Scored[raced.Best], whole.Scored[whole.Best])
	}
	if !(raced.Cost < 0.9*whole.Cost) || !(whole.Cost < whole.PaperCost) {
		t.Errorf("cost %g, without a race %g, the paper's %g", raced.Cost, whole.Cost, whole.PaperCost)
	}
	for i, c := range raced.Scored {
		if c.Sequences == 0 && c.Score != whole.Scored[i].Score || c.Sequences > 0 && c.Score < raced.Scored[raced.Best].Score {
			t.Errorf("%+v in place of %+v", c, whole.Scored[i])
		}
	}
}

// A candidate that explodes is ranked last and never chosen, wherever it stands.
func TestAwareAndWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	for bad := range 4 {
		var spans []*arm
		for i := range 4 {
			s := &arm{losses: []float64{3, 2, float64(i), 1}}
			if i == bad {
				s.losses[1] = math.NaN()
			}
			spans = append(spans, s)
		}
		want := 0
		if bad == 0 {
			want = 1
		}
		if got := leading(spans); got != want {
			t.Errorf("with %d no number, %d leads", bad, got)
		}
		if alive := (&Aware{Drop: 100}).drop(spans); len(alive) != 3 || slices.Contains(alive, spans[bad]) {
			t.Errorf("%d is still in the race", bad)
		}
	}
}

// A search that was stopped goes on from its notes: no step is measured twice, and the outcome is the same.
func TestAwareGoesOnFromItsNotes(t *testing.T) {
	t.Parallel()
	m := fittest.New(4)
	fitted, held := fittest.Parts()
	run := func(a *Aware) (*search.Result, error) {
		model := &search.Model{Blocks: m.Blocks(), Params: map[blockmask.Block]uint64{}, Size: func(blockmask.Mask) (int64, error) { return 0, nil }}
		for _, b := range m.Blocks() {
			model.Params[b] = 1
			model.Total++
		}
		return search.Run(t.Context(), a, model, blockmask.Mix, search.Goal{Blocks: 4}, nil)
	}
	fresh := func(notes fit.Notes) *Aware {
		return &Aware{Runner: m, Weights: m, Fit: fitted, Held: held, Admit: 3, Drop: 2, Cost: search.Cost{Blocks: m.Blocks()}, Notes: notes}
	}
	want, err := run(fresh(nil))
	if err != nil {
		t.Fatal(err)
	}
	notes := &memory{notes: map[string]json.RawMessage{}, left: 2}
	if _, err := run(fresh(notes)); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	notes.left = 100
	a, replayed, ran := fresh(notes), 0, 0
	a.OnRun = func(r search.BatchRun) {
		if r.Replayed {
			replayed++
		} else if replayed < 2 {
			ran++
		}
	}
	got, err := run(a)
	if err != nil || replayed != 2 || ran != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d steps replayed, %d runs before: %+v, %v", replayed, ran, got, err)
	}
	notes.left = 100
	stop := errors.New("stop")
	a = fresh(nil)
	a.Stop = func() error { return stop }
	if _, err := run(a); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// Behind a block that no repair could change there is no map: the candidate stands as it is.
func TestAwareCountsOnNoMapBehindANorm(t *testing.T) {
	t.Parallel()
	m := fittest.New(4)
	fitted, held := fittest.Parts()
	score := func() []search.Candidate {
		a := &Aware{Runner: m, Weights: m, Fit: fitted, Held: held}
		c, err := a.Choose(t.Context(), nil, eachAlone(m.Blocks()))
		if err != nil {
			t.Fatal(err)
		}
		return c.Scored
	}
	m.Post[2] = true // what is at 3 would count on it
	got := score()
	loss, n := 0.0, 0
	for _, seqs := range held {
		rows, _ := m.EvalFrom(t.Context(), seqs, blockmask.New(m.Blocks()[3]), 0, fittest.Embed(seqs))
		for _, mean := range means(rows) {
			loss, n = loss+mean, n+1
		}
	}
	if plain := math.Exp(loss / float64(n)); math.Abs(got[3].Score-plain) > 1e-9*plain {
		t.Errorf("%s scores %g, without a map %g", got[3].Mask, got[3].Score, plain)
	}
	for i := range m.Blocks() {
		m.Post[i] = true
	}
	a := &Aware{Runner: m, Weights: m, Fit: fitted, Held: held}
	if _, err := a.Choose(t.Context(), nil, eachAlone(m.Blocks())); err == nil || !strings.Contains(err.Error(), "no block of this model can be repaired") {
		t.Error(err)
	}
}
