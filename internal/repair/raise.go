package repair

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// A repair that raises the types of what it changes is fitted on a model that has these types, and the check compares the file with one
// that has exactly the file's: weights of a loaded model can be overwritten, but not made larger. So the source is written to a temporary
// file with the higher types, which is loaded in place of the source, and again without those that the repair left alone.

// Types are the types that repaired tensors may be raised to.
var Types = []gguf.Type{
	gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q6_K, gguf.Q5_K, gguf.Q5_1, gguf.Q5_0, gguf.Q4_K, gguf.Q4_1, gguf.Q4_0, gguf.IQ4_NL, gguf.Q3_K,
}

// ParseType reads the value of --repair-type: the name of a tensor type in upper or lower case.
func ParseType(s string) (gguf.Type, error) {
	var names []string
	for _, t := range Types {
		if strings.EqualFold(t.Name(), s) {
			return t, nil
		}
		names = append(names, t.Name())
	}
	return 0, fmt.Errorf("unknown tensor type %q; give one of %s", s, strings.Join(names, ", "))
}

// fallbacks are the types that llama-quantize takes where rows are no whole number of a type's blocks.
var fallbacks = map[gguf.Type]gguf.Type{gguf.Q3_K: gguf.IQ4_NL, gguf.Q4_K: gguf.Q5_0, gguf.Q5_K: gguf.Q5_1, gguf.Q6_K: gguf.Q8_0}

// raisedType is what t becomes when typ is asked for; false where that is not above its own type. width is how many columns of it the
// file keeps, 0 for all of them. llama-quantize, too, lowers no tensor that is quantised already unless it is told to.
func raisedType(t gguf.Tensor, typ gguf.Type, width int) (gguf.Type, bool) {
	suits := func() bool { return t.Dims[0]%typ.BlockSize() == 0 && uint64(width)%typ.BlockSize() == 0 }
	if other, ok := fallbacks[typ]; ok && !suits() {
		typ = other
	}
	if !suits() {
		typ = gguf.F16
	}
	return typ, bits(typ) > bits(t.Type)
}

// bits is what an element of a type takes.
func bits(t gguf.Type) float64 { return 8 * float64(t.TypeSize()) / float64(t.BlockSize()) }

// CheckType refuses a type that no output projection of f can be raised to, before any work.
func (r Options) CheckType(f *gguf.File) error {
	if !r.Wanted() || r.Type == nil {
		return nil
	}
	var own []string
	for _, t := range f.Tensors() {
		if !strings.HasSuffix(t.Name, ".weight") || !arch.IsOutput(t.Name, blockmask.Mixer) && !arch.IsOutput(t.Name, blockmask.FFN) {
			continue
		}
		if _, higher := raisedType(t, *r.Type, 0); higher {
			return nil
		}
		if !slices.Contains(own, t.Type.Name()) {
			own = append(own, t.Type.Name())
		}
	}
	return fmt.Errorf("--repair-type %s is not above the type of any output projection (%s); give a higher one, or leave it out", *r.Type, strings.Join(own, ", "))
}

// raise decides on the types of the output projections that a repair may change, and loads the model with them.
func raise(ctx context.Context, s *source.Source, q Request, dir string, sink progress.Sink) error {
	r := q.Options
	if r.Type == nil {
		return nil
	}
	types, kept := map[string]gguf.Type{}, map[gguf.Type]int{}
	p := NewProjections(s.Spec.Engine, s.File, q.Blocks)
	for _, b := range q.todo() {
		all, _ := p.find(b.Block)
		for _, t := range all {
			if typ, higher := raisedType(t, *r.Type, q.width(b.Block)); higher {
				types[t.Name] = typ
			} else {
				kept[t.Type]++
			}
		}
	}
	for _, t := range Types {
		if n := kept[t]; n > 0 {
			sink.Notef("repair: %d tensors keep their type: %s is not above %s", n, *r.Type, t)
		}
	}
	if len(types) == 0 {
		return nil
	}
	return retype.Load(ctx, s, types, dir, "repair: a copy of the original with higher types", sink)
}

// lower gives back what the repair has not changed, so that the loaded model has the types of the file to be.
func lower(ctx context.Context, s *source.Source, dir string, sink progress.Sink) error {
	types := map[string]gguf.Type{}
	for name, typ := range s.Types() {
		if s.Weights()[name] != nil {
			types[name] = typ
		}
	}
	if len(types) == len(s.Types()) {
		return nil
	}
	return retype.Load(ctx, s, types, dir, fmt.Sprintf("repair: %d of %d tensors keep their type: a copy without them, for the check,", len(s.Types())-len(types), len(s.Types())), sink)
}
