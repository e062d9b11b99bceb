package blockmask

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maskJSON is a mask that keeps parts of blocks.
type maskJSON struct {
	Text string     `json:"text"` // as String writes it
	Kept []keptJSON `json:"kept"` // the parts, in the order of the blocks
}

type keptJSON struct {
	Block    string  `json:"block"`
	Channels Indices `json:"channels,omitzero"`
	Experts  Indices `json:"experts,omitzero"`
}

// MarshalJSON writes a mask of whole blocks as a string, its canonical text. A mask that keeps parts of blocks is an object with
// that text and with what stays:
//
//	{"text":"attn:3,ffn:7=1024","kept":[{"block":"ffn:7","channels":"0-511,600-1111"}]}
func (m Mask) MarshalJSON() ([]byte, error) {
	parts := m.Parts()
	if len(parts) == 0 {
		return json.Marshal(m.String())
	}
	out := maskJSON{Text: m.String()}
	for _, c := range parts {
		out.Kept = append(out.Kept, keptJSON{c.Block.String(), c.Channels, c.Experts})
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads both forms of MarshalJSON. A string may be anything that [Parse] understands.
func (m *Mask) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil // as encoding/json has it
	}
	var p Mask
	var err error
	if bytes.HasPrefix(data, []byte("{")) {
		p, err = unmarshalParts(data)
	} else {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		p, err = Parse(text)
	}
	if err != nil {
		return err
	}
	*m = p
	return nil
}

// ParseKey reads what [Mask.Key] returns.
func ParseKey(s string) (Mask, error) {
	if !strings.HasPrefix(s, "{") {
		return Parse(s)
	}
	return unmarshalParts([]byte(s))
}

func unmarshalParts(data []byte) (Mask, error) {
	var in maskJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, err
	}
	if len(in.Kept) == 0 {
		return nil, errors.New(`a mask's "kept" is empty; write a mask of whole blocks as a string`)
	}
	var parts []Cut
	for _, k := range in.Kept {
		b, err := parseBlock(k.Block)
		if err != nil {
			return nil, err
		}
		c := Cut{b, k.Channels, k.Experts}
		switch {
		case b.Kind != FFN:
			return nil, errNoFFN(c)
		case c.Gone():
			return nil, fmt.Errorf("of %s nothing is kept; leave it out of \"kept\"", c)
		}
		parts = append(parts, c)
	}
	var whole []string
	for item := range strings.SplitSeq(in.Text, ",") {
		if !strings.Contains(item, "=") {
			whole = append(whole, item)
		}
	}
	m, err := Parse(strings.Join(whole, ","))
	if err != nil {
		return nil, err
	}
	out := m.Union(Of(parts...))
	// Blocks that are named twice, or whole in one place and in part in the other, show here.
	if text := out.String(); len(out) != len(m)+len(parts) || text != in.Text {
		return nil, fmt.Errorf("a mask's text is %s, but its parts make it %s", quote(in.Text), quote(text))
	}
	return out, nil
}

// parseBlock reads the text of one block.
func parseBlock(s string) (Block, error) {
	m, err := Parse(s)
	if err != nil {
		return Block{}, err
	}
	if len(m) != 1 {
		return Block{}, fmt.Errorf("%s is not one block", quote(s))
	}
	return m[0].Block, nil
}
