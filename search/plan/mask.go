package plan

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// partsVersion is the version of a plan in which a mask keeps a part of a block. Programs that know whole blocks only refuse it, and
// go on reading the plans of whole blocks, which stay as they were.
const partsVersion = 2

// planMask is a mask in the file of a plan. Reading the file keeps its text, so that the masks of a hostile file are not all expanded
// at once.
type planMask struct {
	mask blockmask.Mask
	text []byte // JSON; nil stands for the empty mask
}

// MarshalJSON writes the mask.
func (m planMask) MarshalJSON() ([]byte, error) { return m.mask.MarshalJSON() }

// UnmarshalJSON keeps the text of what may be a mask.
func (m *planMask) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	m.text = slices.Clone(data)
	return nil
}

// parse reads what UnmarshalJSON kept.
func (m planMask) parse() (mask blockmask.Mask, err error) {
	if m.text != nil {
		err = mask.UnmarshalJSON(m.text)
	}
	return mask, err
}

// fileVersion is the version of the plan's file: the lowest that has a form for its masks.
func (p *Plan) fileVersion() int {
	masks := []blockmask.Mask{}
	if p.Refine != nil {
		masks = append(masks, p.Refine.Start, p.Refine.Mask)
	}
	for _, s := range p.Steps {
		masks = append(masks, s.Removed)
		for _, c := range s.Candidates {
			masks = append(masks, c.Mask)
		}
	}
	if slices.ContainsFunc(masks, func(m blockmask.Mask) bool { return m.WholeBlocks() != nil }) {
		return partsVersion
	}
	return version
}
