package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/blockmask"
)

// An order is the file in which the code of BlockPruner's authors keeps what it found (block_search.py in github.com/MrGGLS/BlockPruner
// writes *_del_order_list.json): without scores, and without a word on the model. Key "k" has all blocks that the first k removals take,
// by layer, so what removal k takes is what key "k" has and the key before has not. Layers count from 0.
//
//	{"1": [["mha", 25]], "2": [["mha", 25], ["mha", 27]], "3": [["mlp", 7], ["mha", 25], ["mha", 27]]}

// orderBlock is a block in the file of an order.
type orderBlock blockmask.Block

const mha, mlp = "mha", "mlp" // what orders call mixers and FFNs

var errOrderBlock = fmt.Errorf(`a block is not as in ["%s", 3] or ["%s", 3], with a layer of 0 to %d`, mha, mlp, blockmask.MaxLayer)

func (b orderBlock) String() string {
	name := mha
	if b.Kind == blockmask.FFN {
		name = mlp
	}
	return fmt.Sprintf("[%q, %d]", name, b.Layer)
}

// UnmarshalJSON reads a kind and a layer.
func (b *orderBlock) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	var kind string
	if json.Unmarshal(data, &parts) != nil || len(parts) != 2 || json.Unmarshal(parts[0], &kind) != nil || json.Unmarshal(parts[1], &b.Layer) != nil {
		return errOrderBlock
	}
	b.Kind = blockmask.Mixer
	if kind == mlp {
		b.Kind = blockmask.FFN
	}
	if kind != mha && kind != mlp || b.Layer < 0 || b.Layer > blockmask.MaxLayer || bytes.Equal(parts[1], []byte("null")) {
		return errOrderBlock
	}
	return nil
}

// DecodeOrder reads the blocks of an order's file in the order of their removal.
func DecodeOrder(data []byte) ([]blockmask.Block, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("larger than %d MiB", MaxSize>>20)
	}
	if err := checkLists(data); err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return nil, fmt.Errorf(`it is a JSON %s, not an object with the keys "1", "2" and so on`, typ.Value)
		}
		return nil, explain(data, err)
	}
	if len(keys) == 0 || len(keys) > maxBlocks {
		return nil, fmt.Errorf("it has %d removals; no order is like that", len(keys))
	}
	var order []blockmask.Block
	for k := 1; k <= len(keys); k++ {
		list, ok := keys[strconv.Itoa(k)]
		if !ok {
			return nil, fmt.Errorf(`its %d keys must be the numbers of removals from "1" on, but "%d" is missing`, len(keys), k)
		}
		next, err := nextInOrder(order, list)
		if err != nil {
			return nil, fmt.Errorf("key \"%d\": %w", k, err)
		}
		order = append(order, next)
	}
	return order, nil
}

// nextInOrder returns the one block that list has besides those that went before it.
func nextInOrder(before []blockmask.Block, list json.RawMessage) (next blockmask.Block, err error) {
	var blocks []orderBlock
	if err := json.Unmarshal(list, &blocks); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return next, fmt.Errorf("it is a %s, not a list of blocks", typ.Value)
		}
		return next, err
	}
	if len(blocks) != len(before)+1 {
		return next, fmt.Errorf("it has %d blocks, not %d: each key has all blocks removed so far", len(blocks), len(before)+1)
	}
	has := map[blockmask.Block]bool{}
	for _, b := range blocks {
		if has[blockmask.Block(b)] {
			return next, fmt.Errorf("it has the block %s twice", b)
		}
		has[blockmask.Block(b)] = true
	}
	for _, b := range before {
		if !has[b] {
			return next, fmt.Errorf("it lacks %s, which was removed before; removals must be nested", orderBlock(b))
		}
		delete(has, b)
	}
	for b := range has {
		next = b
	}
	return next, nil
}

// EncodeOrder returns the plan's steps as the bytes of an order's file. It is an error if one of them does not remove one whole block.
func (p *Plan) EncodeOrder() ([]byte, error) {
	if len(p.Steps) == 0 {
		return nil, errors.New("the plan removes nothing, so it has no order")
	}
	var blocks []blockmask.Block
	var out bytes.Buffer
	for i, s := range p.Steps {
		if len(s.Removed) != 1 || s.Removed.WholeBlocks() != nil {
			return nil, fmt.Errorf("an order removes one whole block at a time, but step %d removes %s", i+1, s.Removed.Brief(200))
		}
		blocks = append(blocks, s.Removed[0].Block)
		slices.SortFunc(blocks, blockmask.Compare)
		separator := ", "
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(&out, `%s"%d": [`, separator, i+1)
		for j, b := range blocks {
			if j > 0 {
				out.WriteString(", ")
			}
			out.WriteString(orderBlock(b).String())
		}
		out.WriteString("]")
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}
