package searchbench

import (
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
)

func TestSubsets(t *testing.T) {
	var blocks []blockmask.Block
	for i := range 12 {
		blocks = append(blocks, blockmask.Block{Layer: i}, blockmask.Block{Layer: i, Kind: blockmask.FFN})
	}
	seen := map[string]bool{}
	for _, m := range subsets(blocks, 4) {
		if len(m) != 4 || seen[m.String()] {
			t.Fatalf("%v twice, or not four blocks", m)
		}
		seen[m.String()] = true
	}
	if len(seen) != 10626 {
		t.Errorf("%d masks of 4 of 24 blocks", len(seen))
	}
}

// The planted landscape costs little and is searched well, at each depth that the benchmark shows.
func TestPlanted(t *testing.T) {
	for _, layers := range []int{12, 24} {
		cost, behind, err := planted(t.Context(), layers, 64)
		if err != nil || cost > 0.12 || behind > 0.02 {
			t.Errorf("%d layers: cost %.4f, %.4f nats behind greedy, %v", layers, cost, behind, err)
		}
		t.Logf("%d layers: cost %.4f, %.4f nats behind greedy", layers, cost, behind)
	}
}
