package find

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
)

// blockTimes is what generating one token takes on this machine, in seconds, from passes over one token with all blocks, without
// the mixers, without the FFNs and without both. Blocks of one kind share their time by the size of their weights: a token alone
// is bound by reading them.
type blockTimes struct {
	Mixers float64 `json:"mixers_s"`
	FFNs   float64 `json:"ffns_s"`
	Rest   float64 `json:"rest_s"`
}

const (
	timeRepeats = 9                // the least of them counts: what else the machine does only adds
	timeLimit   = 20 * time.Second // after which the repeats so far are enough
	tokenSeqLen = 8                // of the session; one token of it is used
)

// predictSpeed puts the blocks' times into model. They are measured once for a search: its journal keeps them. Where the file will
// not be faster without single blocks (layout zeros) there is nothing to predict, and a goal of speed is refused.
func (f *finder) predictSpeed(ctx context.Context, model *search.Model, kind layout.Kind) error {
	if kind == layout.Zeros {
		if f.Goal.Speedup > 0 {
			return &source.UnsupportedError{Text: f.src.Spec.Path + ": files of this architecture without single blocks are smaller but no faster" +
				" (layout zeros); use --kind pair or --kind layer with --target-speedup"}
		}
		return nil
	}
	var t blockTimes
	if raw := f.journal.Note("block_times"); raw == nil || json.Unmarshal(raw, &t) != nil {
		var err error
		if t, err = f.measureTimes(ctx, model.Blocks); err != nil && f.Goal.Speedup == 0 && ctx.Err() == nil {
			f.sink.Warnf("speeds are not predicted: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.journal.SetNote("block_times", t); err != nil {
			return err
		}
	}
	if t.Mixers+t.FFNs <= 0 {
		if f.Goal.Speedup > 0 {
			return errors.New("the blocks' times could not be measured: this machine is too busy, or the model too small;" +
				" give --ratio, --blocks or --target-size")
		}
		return nil
	}
	f.sink.Notef("a token takes about %s: mixers %s, FFNs %s, the rest %s",
		milliseconds(t.Mixers+t.FFNs+t.Rest), milliseconds(t.Mixers), milliseconds(t.FFNs), milliseconds(t.Rest))
	model.Rest, model.Times = t.Rest, map[blockmask.Block]float64{}
	bytes := map[blockmask.Block]float64{}
	var sum [2]float64
	for _, b := range model.Blocks {
		bytes[b] = float64(max(1, f.src.Sizes(f.blocks).Of(b).Bytes))
		sum[b.Kind] += bytes[b]
	}
	of := [2]float64{blockmask.Mixer: t.Mixers, blockmask.FFN: t.FFNs}
	for _, b := range model.Blocks {
		// Never nothing: that a block takes no time is a failure to see it.
		model.Times[b] = max(of[b.Kind]*bytes[b]/sum[b.Kind], 1e-9)
	}
	return nil
}

func milliseconds(s float64) string { return fmt.Sprintf("%.3g ms", 1000*s) }

// measureTimes runs single tokens through a session of its own.
func (f *finder) measureTimes(ctx context.Context, blocks []blockmask.Block) (blockTimes, error) {
	session, err := f.src.Session(ctx, 1, tokenSeqLen)
	if err != nil {
		return blockTimes{}, err
	}
	defer session.Close()
	one := []engine.Sequence{{Tokens: []engine.Token{1}, Targets: []engine.Token{1}}}
	var kinds [2]blockmask.Mask
	for _, b := range blocks {
		kinds[b.Kind] = kinds[b.Kind].With(b)
	}
	masks := []blockmask.Mask{nil, kinds[blockmask.Mixer], kinds[blockmask.FFN], blockmask.New(blocks...)}
	least := make([]time.Duration, len(masks))
	begin := time.Now()
	for repeat := range timeRepeats + 1 { // the first is for warming up
		for i, m := range masks {
			t := time.Now()
			if _, err := session.EvalPlain(ctx, one, m); err != nil {
				return blockTimes{}, err
			}
			if d := time.Since(t); repeat > 0 && (least[i] == 0 || d < least[i]) {
				least[i] = d
			}
		}
		if repeat > 1 && time.Since(begin) > timeLimit {
			break
		}
	}
	sec := func(i int) float64 { return least[i].Seconds() }
	whole, noMixers, noFFNs, rest := sec(0), sec(1), sec(2), sec(3)
	// Each kind was seen twice: as what is missing from the whole, and as what is left without the other.
	return blockTimes{
		Mixers: max(0, (whole-noMixers+noFFNs-rest)/2),
		FFNs:   max(0, (whole-noFFNs+noMixers-rest)/2),
		Rest:   rest,
	}, nil
}
