// Package inspect says what can be said of a model before anything is measured.
package inspect

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
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
}

// InspectedBlock is one block and what it holds.
type InspectedBlock struct {
	Block blockmask.Block
	layout.Weights
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

// Run looks at a model. mask, unless empty, is one more case to find the layout for. A graph that is not supported is no
// error here: Reason says why.
func Run(ctx context.Context, spec source.Spec, mask blockmask.Mask, kind layout.Kind) (*Inspection, error) {
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
	for _, b := range blocks {
		in.Blocks = append(in.Blocks, InspectedBlock{b.Block, src.Sizes(blocks).Of(b.Block)})
	}
	if err := mask.Check(source.PlainBlocks(blocks)); err != nil {
		return nil, err
	}
	in.Layouts = layouts(src, blocks, mask, kind)
	return in, nil
}

// layouts finds the layout of typical masks in the middle of the model, and of the user's.
func layouts(s *source.Source, blocks []layout.Block, mask blockmask.Mask, kind layout.Kind) []InspectedLayout {
	type example struct {
		name string
		mask blockmask.Mask
	}
	var examples []example
	if mask.Len() > 0 {
		examples = append(examples, example{"the mask", mask})
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
		res, err := layout.Build(layout.Request{Source: s.File, Blocks: blocks, Removed: e.mask, Kind: kind})
		if err != nil {
			l.Refused = err.Error()
		} else {
			l.Kind, l.Exact, l.Bytes = res.Kind, res.Exact, res.Plan.Size()
		}
		out = append(out, l)
	}
	return out
}
