// Package inspect says what can be said of a model before anything is measured.
package inspect

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Inspection is what can be said of a model before anything is measured.
type Inspection struct {
	Facts       source.Facts
	Name        string // general.name
	Description string // llama.cpp's, such as "llama 1B Q8_0"
	Context     int    // tokens that the model was trained on
	Vocabulary  int
	Reason      string // why its graph is not supported; "" if it is
	Blocks      []InspectedBlock
	Layouts     []InspectedLayout
	Removed     blockmask.Mask // what a file that this program pruned says that it lacks of its source
}

// InspectedBlock is one block and what it holds.
type InspectedBlock struct {
	Block blockmask.Block
	layout.Weights
	Channels int               // of a dense FFN; 0 of others
	Before   int               // how many it had in the source of a pruned file; 0 where that does not say it
	Kept     blockmask.Indices // which of these are left, where some are gone
}

// Query says what to look at besides the model. At most one of Mask and Plan is given.
type Query struct {
	Mask blockmask.Mask // one more case to find the layout for
	Plan string         // a file of a plan for the model; what all of it removes is one more case
	Kind layout.Kind
}

// InspectedLayout says how a file would be written without the blocks of Mask.
type InspectedLayout struct {
	Case    string
	Mask    blockmask.Mask
	Kind    layout.Kind // "" if it is refused
	Refused string      // why
	Exact   bool
	Bytes   int64
}

// Run looks at a model. A graph that is not supported is no error here: Reason says why.
func Run(ctx context.Context, spec source.Spec, q Query) (*Inspection, error) {
	var p *plan.Plan
	var err error
	if q.Plan != "" {
		if p, err = planfile.Read(q.Plan); err != nil {
			return nil, err
		}
	}
	src, err := source.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	info := src.Model.Info()
	name, _, err := src.File.Str("general.name")
	if err != nil {
		return nil, err
	}
	hash, err := src.SHA256()
	if err != nil {
		return nil, err
	}
	in := &Inspection{Name: name, Description: info.Desc, Context: info.NCtxTrain, Vocabulary: info.NVocab}
	blocks, err := src.FindBlocks(ctx)
	var unsupported *engine.Error
	if errors.As(err, &unsupported) && unsupported.Code == engine.UnsupportedArch {
		in.Reason = unsupported.Text
	} else if err != nil {
		return nil, err
	}
	in.Facts = src.Facts(blocks, hash)
	if len(blocks) == 0 {
		return in, nil
	}
	in.Removed = removed(src.File)
	before := sourceWidths(src.File)
	for _, b := range blocks {
		x := InspectedBlock{Block: b.Block, Weights: src.Sizes(blocks).Of(b.Block)}
		if b.Kind == blockmask.FFN {
			x.Channels, _ = repair.Channels(src.File, b)
			x.Before = before[b.Layer].width
			if c, ok := in.Removed.Cut(blockmask.Block{Layer: before[b.Layer].layer, Kind: blockmask.FFN}); ok && x.Before > 0 {
				x.Kept = c.Channels
			}
		}
		in.Blocks = append(in.Blocks, x)
	}
	own := example{"the mask", q.Mask}
	if p != nil {
		if err := p.CheckModel(hash, source.PlainBlocks(blocks)); err != nil {
			return nil, err
		}
		own = example{"the plan", p.Mask(len(p.Steps))}
	}
	if err := own.mask.Check(source.PlainBlocks(blocks)); err != nil {
		return nil, err
	}
	in.Layouts = layouts(src, blocks, own, q.Kind)
	return in, nil
}

// removed is what a pruned file says that it lacks; nothing of one that says nothing, or what cannot be read.
func removed(f *gguf.File) blockmask.Mask {
	mask, err := blockmask.ParseKey(source.Text(f, "ggufprune.mask"))
	if err != nil {
		return nil
	}
	return mask
}

// origin is an FFN of a file's source.
type origin struct{ layer, width int }

// sourceWidths are, by the layers of a file that lost channels, where their FFNs come from. Of other files it is empty.
func sourceWidths(f *gguf.File) map[int]origin {
	out := map[int]origin{}
	widths := source.Array[int32](f, "ggufprune.ffn_channels")
	for i, layer := range source.Array[int32](f, "ggufprune.layers.ffn") {
		if layer >= 0 && int(layer) < len(widths) {
			out[i] = origin{int(layer), int(widths[layer])}
		}
	}
	return out
}

// example is a mask to find the layout for.
type example struct {
	name string
	mask blockmask.Mask
}

// layouts finds the layout of typical masks in the middle of the model, and of the user's.
func layouts(s *source.Source, blocks []layout.Block, own example, kind layout.Kind) []InspectedLayout {
	var examples []example
	if len(own.mask) > 0 {
		examples = append(examples, own)
	}
	for _, c := range []struct {
		name string
		unit blockmask.Unit
	}{{"a whole layer", blockmask.Whole}, {"one attention", blockmask.Attn}, {"one FFN", blockmask.Ffn}} {
		if cands := blockmask.Candidates(c.unit, source.PlainBlocks(blocks), nil); len(cands) > 0 {
			examples = append(examples, example{c.name, cands[len(cands)/2]})
		}
	}
	var out []InspectedLayout
	for _, e := range examples {
		l := InspectedLayout{Case: e.name, Mask: e.mask}
		res, err := layout.Outline(layout.Request{Source: s.File, Blocks: blocks, Removed: e.mask, Kind: kind})
		if err != nil {
			l.Refused = err.Error()
		} else {
			l.Kind, l.Exact, l.Bytes = res.Kind, res.Exact, res.Plan.Size()
		}
		out = append(out, l)
	}
	return out
}
