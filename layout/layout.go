package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/layout/metadata"
)

// A layout is a way to write a model without some of its blocks.
type layout struct {
	kind Kind
	// suits says why this model cannot be stored so, whatever is removed, "" if it can; nil: every model can.
	suits func(*model) (why string)
	// build plans the file of a model that suits. why is the reason if what is removed has no file in this layout, else "".
	build func(*model) (res *Result, why string, err error)
	// exact reports whether the file that build plans computes the same bits as the masked original on the same backend.
	exact func(*model) bool
	// hint is what to do instead, where this layout alone was asked for and is impossible.
	hint string
}

// layouts are all there are, in the order in which auto tries them. A new one has its row here and its Kind in request.go.
var layouts = []layout{
	{ // the source's architecture with fewer layers, where only full ones are left
		kind:  Native,
		build: buildNative,
		exact: func(*model) bool { return true },
		hint:  "use deci, zeros or auto, or remove whole layers",
	},
	{ // another architecture, in which a layer may lack a half: for the llama family
		kind:  Deci,
		suits: cannotBeDeci,
		build: buildDeci,
		exact: deciIsExact,
		hint:  "use zeros or auto",
	},
	{ // the source's architecture, and zeros where a half is missing: for any model
		kind:  Zeros,
		suits: cannotZeroParts,
		build: buildZeros,
		exact: func(*model) bool { return false },
		hint:  "remove whole layers",
	},
}

// Kinds are the values that ParseKind accepts.
var Kinds = kinds()

func kinds() []Kind {
	all := []Kind{Auto}
	for _, l := range layouts {
		all = append(all, l.kind)
	}
	return all
}

// ParseKind reads a layout's name; "" is Auto.
func ParseKind(s string) (Kind, error) {
	k := cmp.Or(Kind(s), Auto)
	if !slices.Contains(Kinds, k) {
		return "", unknownKind(s)
	}
	return k, nil
}

func unknownKind(s string) error {
	var names []string
	for _, k := range Kinds {
		names = append(names, string(k))
	}
	last := len(names) - 1
	return fmt.Errorf("unknown layout %q; use %s or %s", s, strings.Join(names[:last], ", "), names[last])
}

// Build plans the file. The Plan refers to Source, which must stay open until it is written. Errors are a *RefusedError
// where the request is sound but has no exact layout, otherwise what is wrong with the source or the mask.
func Build(r Request) (*Result, error) {
	r.Kind = cmp.Or(r.Kind, Auto)
	if !slices.Contains(Kinds, r.Kind) {
		return nil, unknownKind(string(r.Kind))
	}
	m, err := newModel(r)
	if err != nil {
		return nil, err
	}
	if err := m.cutFFNs(r.Kind); err != nil {
		return nil, err
	}
	if err := m.checkChanged(); err != nil {
		return nil, err
	}
	return m.build(r)
}

// Outline is Build without what only a fit can make: contents of a quantised ffn_down that loses columns, and of tensors of Types.
// The plan has the right sizes and cannot be written.
func Outline(r Request) (*Result, error) {
	r.outline = true
	return Build(r)
}

// build is Build of what m.removed has.
func (m *model) build(r Request) (*Result, error) {
	kind := cmp.Or(r.Kind, Auto)
	var reasons []string
	for _, l := range layouts {
		if kind != Auto && kind != l.kind {
			continue
		}
		res, why, err := l.try(m)
		switch {
		case err != nil:
			return nil, err
		case why == "":
			return finish(m, r, res)
		case kind != Auto:
			return nil, &RefusedError{kind, m.Arch, why, l.hint}
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s", l.kind, why))
	}
	return nil, &RefusedError{Auto, m.Arch, strings.Join(reasons, ". "), "choose another mask"}
}

// try plans the file in one layout. why is the reason if that is impossible, else "".
func (l layout) try(m *model) (res *Result, why string, err error) {
	if l.suits != nil {
		if why := l.suits(m); why != "" {
			return nil, why, nil
		}
	}
	if res, why, err = l.build(m); err != nil || why != "" {
		return nil, why, err
	}
	// A narrower FFN adds up in another order.
	res.Kind, res.Exact = l.kind, l.exact(m) && len(m.removed.Parts()) == 0
	return res, "", nil
}

// finish adds what is common to all layouts.
func finish(m *model, r Request, res *Result) (*Result, error) {
	res.ParamsTotal, res.Params = m.File.Params(), res.Plan.Params()
	for name, cut := range m.contents.Cuts {
		if cut.Columns == nil {
			continue
		}
		if res.Columns == nil {
			res.Columns = map[string][]int64{}
		}
		res.Columns[name] = cut.Columns
	}
	parts, _, err := m.lost(m.removed)
	if err != nil {
		return nil, err
	}
	res.ParamsRemoved = m.paramsOf(m.removed) + parts
	meta := &metadata.List{KVs: res.Plan.KVs}
	if err := addProvenance(meta, m, r.Provenance, res); err != nil {
		return nil, err
	}
	res.Plan.KVs = meta.KVs
	return res, nil
}

// Size is the number of bytes of the file that Build plans. It needs no contents, as Outline.
func Size(r Request) (int64, error) {
	res, err := Outline(r)
	if err != nil {
		return 0, err
	}
	return res.Plan.Size(), nil
}
