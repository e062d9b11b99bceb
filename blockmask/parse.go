package blockmask

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const grammar = `write masks like "attn:3,ffn:7-9"`

// aliases of the two kinds; looked up in lower case.
var aliases = map[string]Kind{
	"attn": Mixer, "mha": Mixer, "mixer": Mixer,
	"ffn": FFN, "mlp": FFN,
}

// Parse reads a mask in the grammar of the package comment. Items may overlap and come in any order; "" is the empty mask.
// The error names the part that is wrong and shows the grammar.
func Parse(s string) (Mask, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var runs []run
	for item := range strings.SplitSeq(s, ",") {
		r, err := parseItem(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return expand(runs), nil
}

// expand returns the blocks of runs. Overlaps are merged first, so that repeating a long range costs nothing.
func expand(runs []run) Mask {
	slices.SortFunc(runs, func(a, b run) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first))
	})
	var blocks []Block
	kind, next := Mixer, 0 // every layer of kind below next is done
	for _, r := range runs {
		if r.kind != kind {
			kind, next = r.kind, 0
		}
		for layer := max(r.first, next); layer <= r.last; layer++ {
			blocks = append(blocks, Block{Layer: layer, Kind: r.kind})
		}
		next = max(next, r.last+1)
	}
	return New(blocks...)
}

func parseItem(item string) (run, error) {
	name, layers, ok := strings.Cut(item, ":")
	if !ok {
		return run{}, badItem(item, "a kind and a layer are needed")
	}
	kind, ok := aliases[strings.ToLower(strings.TrimSpace(name))]
	if !ok {
		return run{}, badItem(item, "unknown kind "+quote(name)+": attn (mha, mixer) or ffn (mlp)")
	}
	if strings.Contains(layers, "=") {
		return run{}, badItem(item, "a count does not say which channels or experts stay; a plan file does")
	}
	from, to, isRange := strings.Cut(layers, "-")
	first, err := parseLayer(item, from)
	if err != nil {
		return run{}, err
	}
	last := first
	if isRange {
		if last, err = parseLayer(item, to); err != nil {
			return run{}, err
		}
	}
	if last < first {
		return run{}, badItem(item, fmt.Sprintf("the range runs backwards: %d-%d", first, last))
	}
	return run{kind: kind, first: first, last: last}, nil
}

func parseLayer(item, s string) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, badItem(item, "a layer number is missing")
	}
	// Only digits: Atoi alone would take "+3".
	if strings.Trim(s, "0123456789") != "" {
		return 0, badItem(item, quote(s)+" is no layer number")
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > MaxLayer {
		return 0, badItem(item, fmt.Sprintf("layer %s is above %d", clip(s), MaxLayer))
	}
	return n, nil
}

func badItem(item, why string) error {
	return fmt.Errorf("bad mask item %s: %s; %s", quote(item), why, grammar)
}

func quote(s string) string { return strconv.Quote(clip(s)) }

// clip keeps an error to one readable line whatever it quotes.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
