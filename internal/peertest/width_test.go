//go:build cgo

package peertest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
)

var finalPPL = regexp.MustCompile(`PPL = (\d+\.\d+)`)

// channelsTaken zeroes the columns of ffn_down that a cut takes away, in the bytes of the whole F16 file. It is the route that knows no
// layout.
func channelsTaken(t *testing.T, f *gguf.File, data []byte, cut blockmask.Cut) {
	t.Helper()
	w, ok := f.Tensor(fmt.Sprintf("blk.%d.ffn_down.weight", cut.Layer))
	if !ok || w.Type != gguf.F16 {
		t.Fatalf("ffn_down is %+v", w)
	}
	_, off, _ := f.Data(w).Outer()
	for row := range w.Dims[1] {
		for c := range w.Dims[0] {
			if !cut.Channels.Contains(int(c)) {
				at := off + int64(2*(row*w.Dims[0]+c))
				copy(data[at:at+2], []byte{0, 0})
			}
		}
	}
}

// A file with narrower FFNs gives llama-perplexity the perplexity of the whole file without what those channels add.
func TestNarrowFilesInLlamaPerplexity(t *testing.T) {
	f, err := gguf.Open(models["F16"])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var blocks []layout.Block
	for l := range 12 {
		for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			blocks = append(blocks, layout.Block{Block: blockmask.Block{Layer: l, Kind: k}})
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for kind, width := range map[layout.Kind]func(layer int) int{
		layout.Native: func(int) int { return 512 },
		layout.Deci:   func(l int) int { return 736 - 40*l },
	} {
		whole, err := os.ReadFile(models["F16"])
		if err != nil {
			t.Fatal(err)
		}
		var cuts []blockmask.Cut
		for l := range 12 {
			channels := rng.Perm(768)[:width(l)]
			slices.Sort(channels)
			kept, err := blockmask.NewIndices(channels)
			if err != nil {
				t.Fatal(err)
			}
			cut := blockmask.Cut{Block: blockmask.Block{Layer: l, Kind: blockmask.FFN}, Channels: kept}
			channelsTaken(t, f, whole, cut)
			cuts = append(cuts, cut)
		}
		zeroed, narrow := filepath.Join(dir, "zeroed.gguf"), filepath.Join(dir, "narrow.gguf")
		if err := os.WriteFile(zeroed, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		plan, err := layout.Build(layout.Request{Source: f, Blocks: blocks, Removed: blockmask.Of(cuts...)})
		if err != nil || plan.Kind != kind {
			t.Fatalf("%s: %+v, %v", kind, plan, err)
		}
		p, err := gguf.WriteTemp(t.Context(), narrow, plan.Plan, gguf.WriteOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		var ppl [2]float64
		for i, path := range []string{zeroed, narrow} {
			line := llamaPerplexity(t, path, text, "-c", "128", "--chunks", "6")
			if ppl[i], err = strconv.ParseFloat(finalPPL.FindStringSubmatch(line)[1], 64); err != nil {
				t.Fatal(err)
			}
		}
		// F16 products are added up in another order.
		if math.Abs(ppl[1]/ppl[0]-1) > 1e-3 {
			t.Errorf("%s: PPL %v, of the whole file with zeros %v", kind, ppl[1], ppl[0])
		}
		t.Logf("%s: %v and %v", kind, ppl[1], ppl[0])
	}
}
