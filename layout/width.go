package layout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/tensors"
)

// A cut FFN keeps some of its channels. Channel c is row c of ffn_gate and ffn_up, with its elements of their biases, and column c
// of ffn_down. Rows are copied whole. Columns of quantised rows share blocks, so a quantised ffn_down needs new contents.

// widthHint is what to do where channels cannot be cut.
const widthHint = "remove whole blocks"

// refused is a *RefusedError about the channels of an FFN.
func (m *model) refused(hint, format string, args ...any) error {
	return &RefusedError{Auto, m.Arch, fmt.Sprintf(format, args...), hint}
}

// cutFFNs plans the cuts of all the FFNs of which a part stays. A refusal says that it is of the kind asked for.
func (m *model) cutFFNs(kind Kind) (err error) {
	defer func() {
		var refused *RefusedError
		if errors.As(err, &refused) {
			refused.Layout = kind
		}
	}()
	m.contents.Cuts = map[string]tensors.Cut{}
	for _, c := range m.removed.Parts() {
		cuts, err := m.cutFFN(c)
		if err != nil {
			return err
		}
		for t, cut := range cuts {
			m.contents.Cuts[t.Name] = cut
			if m.contents.NeedsContents(t.Tensor) {
				return m.refused("re-fit it, or use an unquantised model",
					"columns of %s cannot be picked from %s, and there are no new contents of %d columns", t.Name, t.Type, len(cut.Columns))
			}
		}
	}
	return nil
}

// cutFFN says what stays of the tensors of an FFN; those that are not in cuts stay whole. The error is a *RefusedError where the model
// does not allow to remove channels, or does not suit the number of them.
func (m *model) cutFFN(c blockmask.Cut) (cuts map[*layerTensor]tensors.Cut, err error) {
	n := m.Widths()[c.Layer]
	switch {
	case !c.Experts.Empty():
		return nil, m.refused(widthHint, "%s keeps some of the experts, which cannot be written yet", c)
	case m.NoChannels != "":
		return nil, m.refused(widthHint, "its FFNs cannot lose channels: %s", m.NoChannels)
	case m.expert(c.Layer) != "":
		return nil, m.refused(widthHint, "channels of a mixture of experts cannot be removed yet (%s)", m.expert(c.Layer))
	case m.anyExpert() != "" && !m.OwnExperts():
		return nil, m.refused(widthHint, "the width of %s follows %s, too", m.anyExpert(), m.Key("feed_forward_length"))
	case n == 0:
		return nil, m.refused(widthHint, "%s has no width for layer %d", m.Key("feed_forward_length"), c.Layer)
	case c.Channels.Max() >= n:
		return nil, fmt.Errorf("%s keeps channel %d; the FFN has %d, counted from 0", c, c.Channels.Max(), n)
	}
	if err := m.checkFFN(c.Layer, n); err != nil {
		return nil, err
	}
	cuts = map[*layerTensor]tensors.Cut{}
	if c.Channels.Len() == n {
		return cuts, nil
	}
	var kept []int64
	for i := range c.Channels.All() {
		kept = append(kept, int64(i))
	}
	for i := range m.layers[c.Layer].tensors {
		switch t := &m.layers[c.Layer].tensors[i]; arch.SideOf(t.rest) {
		case arch.Rows:
			cuts[t] = tensors.Cut{Rows: halves(kept, t.Tensor, n)}
		case arch.Columns:
			cuts[t] = tensors.Cut{Columns: kept}
			if err := m.checkWidth(c, t.Tensor); err != nil {
				return nil, err
			}
		}
	}
	return cuts, nil
}

// halves are the rows of t that belong to the kept of n channels: of a fused gate and up projection, first those of the gate.
func halves(kept []int64, t gguf.Tensor, n int) []int64 {
	if channelRows(t) == uint64(n) {
		return kept
	}
	rows := slices.Clone(kept)
	for _, r := range kept {
		rows = append(rows, r+int64(n))
	}
	return rows
}

// channelRows is the number of rows of a matrix or of elements of a vector.
func channelRows(t gguf.Tensor) uint64 { return t.Dims[len(t.Dims)-1] }

// expert names a tensor of layer i that belongs to a mixture of experts, "" in a dense layer.
func (m *model) expert(i int) string {
	for _, t := range m.layers[i].tensors {
		for _, part := range []string{"exps", "shexp", "ffn_gate_inp", "exp_probs_b"} {
			if strings.Contains(t.rest, part) {
				return t.Name
			}
		}
	}
	return ""
}

// anyExpert is expert of the first layer that has one.
func (m *model) anyExpert() string {
	for i := range m.layers {
		if name := m.expert(i); name != "" {
			return name
		}
	}
	return ""
}

// checkFFN makes sure that every tensor of layer i's FFN is one of which is known where it has its n channels.
func (m *model) checkFFN(i, n int) error {
	var up, gate, down *gguf.Tensor
	for _, t := range m.layers[i].tensors {
		switch t.rest {
		case "ffn_up.weight":
			up = &t.Tensor
		case "ffn_gate.weight":
			gate = &t.Tensor
		case "ffn_down.weight":
			down = &t.Tensor
		}
	}
	switch {
	case up == nil || down == nil:
		return m.refused(widthHint, "layer %d has no ffn_up and ffn_down of a dense FFN", i)
	case len(down.Dims) != 2 || down.Dims[0] != uint64(n):
		return m.refused(widthHint, "%s has rows of %d; the metadata means %d channels", down.Name, down.Dims[0], n)
	}
	rows := uint64(n)
	if gate == nil && channelRows(*up) == 2*rows {
		rows *= 2 // gate and up projection in one
	}
	for _, t := range m.layers[i].tensors {
		side := arch.SideOf(t.rest)
		isOne := t.Elements() == 1
		switch {
		case t.half != arch.FFN && (side == arch.Rows || side == arch.Columns):
			return m.refused(widthHint, "%s is no part of a block that can be removed", t.Name)
		case t.half != arch.FFN:
		case side == arch.Unknown:
			return m.refused(widthHint, "%s may have something for each channel", t.Name)
		case side == arch.NoSide && !isOne && (len(t.Dims) > 1 || t.Dims[0] != down.Dims[1]):
			return m.refused(widthHint, "%s is %v, where one number or %d of them are expected", t.Name, t.Dims, down.Dims[1])
		case side == arch.Rows && channelRows(t.Tensor) != rows:
			return m.refused(widthHint, "%s has %d rows; the metadata means %d", t.Name, channelRows(t.Tensor), rows)
		case side == arch.Rows && (len(t.Dims) > 2 || len(t.Dims) == 1 && t.Type.Quantized()):
			return m.refused(widthHint, "%s is %v in %s, which cannot be cut into rows", t.Name, t.Dims, t.Type)
		}
	}
	return nil
}

// checkWidth: the rows of ffn_down must be whole blocks of its type.
func (m *model) checkWidth(c blockmask.Cut, down gguf.Tensor) error {
	typ := cmp.Or(m.contents.Types[down.Name], down.Type)
	kept, block := c.Channels.Len(), max(1, int(typ.BlockSize()))
	hint := fmt.Sprintf("keep %d", kept/block*block)
	switch {
	case kept%block == 0:
		return nil
	case kept < block:
		hint = fmt.Sprintf("keep %d, or remove the whole block", block)
	}
	return m.refused(hint, "%s keeps %d channels, and a row of %s in %s is a multiple of %d", c.Block, kept, down.Name, typ, block)
}

// lost counts the weights that mask takes away from the blocks of which it keeps a part, and their bytes in the source.
func (m *model) lost(mask blockmask.Mask) (params uint64, bytes int64, err error) {
	for _, c := range mask.Parts() {
		cuts, err := m.cutFFN(c)
		if err != nil {
			return 0, 0, err
		}
		for t, cut := range cuts {
			params += t.Elements() - cut.Elements(t.Tensor)
			bytes += t.Size - cut.Bytes(t.Tensor, t.Type)
		}
	}
	return params, bytes, nil
}
