package find

import (
	"reflect"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
)

// A repair gets as many tokens as a part of the time leaves room for; the usual one is left out before it is worth nothing, and the one that
// the user asked for is not.
func TestTimeBehindTheSearch(t *testing.T) {
	t.Parallel()
	usual := repair.Options{Method: fit.Auto, Tokens: 65536, Usual: true}
	asked, counted := usual, usual
	asked.Usual, counted.Usual = false, false
	counted.Tokens, counted.TokensGiven = 20000, true
	for _, c := range []struct {
		name    string
		writes  bool
		repair  repair.Options
		left    time.Duration
		seconds float64
		tokens  int
	}{
		// 1000 positions take 10 s, and a token of a repair through ten blocks 0.03 s.
		{"nothing follows", false, usual, time.Hour, 0, 0},
		{"no repair", true, repair.Options{}, time.Hour, 10, 0},
		{"all of the text", true, usual, 2 * time.Hour, 10 + 0.03*65536, 65536},
		{"half of it", true, usual, 30 * time.Minute, 10 + 0.03*32768, 32768},
		{"the least", true, usual, 430 * time.Second, 10 + 0.03*8192, 8192},
		{"none", true, usual, 420 * time.Second, 10, 0},
		{"asked for", true, asked, time.Minute, 10 + 0.03*8192, 8192},
		{"so many", true, counted, time.Minute, 10 + 0.03*20000, 20000},
	} {
		f := &finder{Job: Job{Writes: c.writes, After: 1000, Repair: c.repair}, position: 0.01, blocks: make([]layout.Block, 10)}
		seconds, tokens := f.behind(1000, c.left)
		if d := seconds - c.seconds; d > 1e-6 || d < -1e-6 || tokens != c.tokens {
			t.Errorf("%s: %v s with %d tokens, want %v with %d", c.name, seconds, tokens, c.seconds, c.tokens)
		}
	}
}

// What was decided of the repair is kept with the schedule.
func TestRepairOn(t *testing.T) {
	t.Parallel()
	wanted := repair.Options{Method: fit.Auto, Tokens: 65536, Usual: true}
	for _, c := range []struct {
		name   string
		repair repair.Options
		tokens int
		want   repair.Options
	}{
		{"fewer tokens", wanted, 8192, repair.Options{Method: fit.Auto, Tokens: 8192, Usual: true}},
		{"left out", wanted, 0, repair.Options{}},
		{"none was wanted", repair.Options{Tokens: 5}, 8192, repair.Options{Tokens: 5}},
	} {
		f := &finder{Job: Job{Repair: c.repair}}
		f.repairOn(c.tokens)
		if !reflect.DeepEqual(f.Repair, c.want) {
			t.Errorf("%s: %+v", c.name, f.Repair)
		}
	}
}
