package layout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// Kind names a layout.
type Kind string

// The layouts; see the package comment. Auto is a request only, never a result.
const (
	Native Kind = "native"
	Deci   Kind = "deci"
	Zeros  Kind = "zeros"
	Auto   Kind = "auto"
)

// Kinds are the values that ParseKind accepts.
var Kinds = []Kind{Auto, Native, Deci, Zeros}

// ParseKind reads a layout's name; "" is Auto.
func ParseKind(s string) (Kind, error) {
	k := cmp.Or(Kind(s), Auto)
	if !slices.Contains(Kinds, k) {
		return "", fmt.Errorf("unknown layout %q; use auto, native, deci or zeros", s)
	}
	return k, nil
}

// Request asks for the model in Source without the blocks in Removed.
type Request struct {
	Source     *gguf.File
	Blocks     []Block // all blocks of the model, front to back, as the engine found them
	Removed    blockmask.Mask
	Kind       Kind // "" is Auto
	Provenance Provenance

	// Changed are new contents of tensors of Source, of the same shape, by name: what a repair changed. They have the tensor's type, or
	// the one that Types has for it.
	Changed map[string][]byte
	Types   map[string]gguf.Type
}

// Block is a block with the names of the tensors that it alone uses. Norms may be missing from Weights; they are told by
// their names.
type Block struct {
	blockmask.Block
	Weights []string
}

// Result is the plan of the file and what is to be known of it.
type Result struct {
	Kind     Kind
	Plan     *gguf.Plan
	Exact    bool     // the file computes the same bits as the masked original on the same backend
	Warnings []string // for the user, one sentence each
	// Layers says for each layer of the file, front to back, which layers of the source its halves come from; -1 where a half
	// is absent or zero. Layers of a multi-token-prediction head are not among them.
	Layers        []blockmask.Layer
	ParamsRemoved uint64 // weights in the removed blocks
	ParamsTotal   uint64 // weights in the source
}

// RefusedError says that no exact layout of the kind asked for exists.
type RefusedError struct {
	Layout Kind
	Arch   string
	Reason string // a clause: "partial layers remain (ffn:3)"
	Hint   string // what to do instead; may be empty
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("layout %s is impossible for this %s model and mask: %s", e.Layout, e.Arch, e.Reason)
	if e.Layout == Auto {
		s = fmt.Sprintf("no exact layout exists for this %s model and mask: %s", e.Arch, e.Reason)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// builders are the layouts in the order in which auto tries them.
var builders = []struct {
	kind  Kind
	build func(*model) (*Result, error)
}{
	{Native, buildNative},
	{Deci, buildDeci},
	{Zeros, buildZeros},
}

// Build plans the file. The Plan refers to Source, which must stay open until it is written. Errors are a *RefusedError
// where the request is sound but has no exact layout, otherwise what is wrong with the source or the mask.
func Build(r Request) (*Result, error) {
	m, err := newModel(r)
	if err != nil {
		return nil, err
	}
	return m.build(r)
}

// build is Build of what m.removed has.
func (m *model) build(r Request) (*Result, error) {
	kind := cmp.Or(r.Kind, Auto)
	if parts := m.removed.Parts(); len(parts) > 0 {
		return nil, &RefusedError{kind, m.arch, fmt.Sprintf("%s keeps a part of a block, which cannot be written yet", parts[0]), "use a mask of whole blocks"}
	}
	var reasons []string
	for _, b := range builders {
		if kind != Auto && kind != b.kind {
			continue
		}
		res, err := b.build(m)
		var refused *RefusedError
		switch {
		case err == nil:
			return finish(m, r, res)
		case !errors.As(err, &refused) || kind != Auto:
			return nil, err
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s", b.kind, refused.Reason))
	}
	if len(reasons) == 0 {
		return nil, fmt.Errorf("unknown layout %q; use auto, native, deci or zeros", kind)
	}
	return nil, &RefusedError{Layout: Auto, Arch: m.arch, Reason: joinReasons(reasons), Hint: "choose another mask"}
}

// finish adds what is common to all layouts.
func finish(m *model, r Request, res *Result) (*Result, error) {
	res.ParamsTotal = m.src.Params()
	res.ParamsRemoved = m.paramsOf(m.removed)
	meta := &metadata{kvs: res.Plan.KVs}
	if err := addProvenance(meta, m, r.Provenance, res); err != nil {
		return nil, err
	}
	res.Plan.KVs = meta.kvs
	return res, nil
}

// Size is the number of bytes of the file that Build plans.
func Size(r Request) (int64, error) {
	res, err := Build(r)
	if err != nil {
		return 0, err
	}
	return res.Plan.Size(), nil
}

// joinReasons makes one line of several reasons.
func joinReasons(reasons []string) string {
	s := ""
	for i, r := range reasons {
		if i > 0 {
			s += ". "
		}
		s += r
	}
	return s
}
