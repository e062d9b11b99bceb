package find

import (
	"cmp"
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/retype"
)

// twinOf returns what is computed faster than the model in a search of blocks. A strategy that changes weights has them in the file's
// types, and does without.
func (f *finder) twinOf() retype.Twin {
	if f.Method.Spec().Repairs || f.Unit == blockmask.Auto || f.Unit == blockmask.Width {
		return nil
	}
	return retype.ForSearch(f.src)
}

// onTwin has the search go on with a copy of the model that is computed faster, where there is one. What comes before, the blocks' times,
// and what follows, the check of the file, is on the model itself. Losses differ a little: on a CPU llama.cpp rounds what it multiplies
// with weights of most types to 8 bits, and with those in F16 to 16.
func (f *finder) onTwin(ctx context.Context) (err error) {
	twin := f.twinOf()
	if twin == nil && !retype.Begun(f.journal) {
		return nil
	}
	f.session.Close()
	f.session = nil
	f.mapped = !f.src.Spec.Model.NoMmap
	if twin, err = twin.LoadNoted(ctx, f.src, cmp.Or(f.Output, f.Plan), f.journal, f.sink); err != nil {
		return err
	}
	f.twin = twin != nil
	nSeq, seqLen := f.Text.Shape(f.set.Longest())
	f.session, err = f.src.Session(ctx, nSeq, seqLen)
	return err
}

// offTwin gives the model itself back.
func (f *finder) offTwin(ctx context.Context) error {
	if !f.twin {
		return nil
	}
	f.session.Close()
	f.session = nil
	f.twin, f.src.Spec.Model.NoMmap = false, !f.mapped
	return f.src.LoadPlain(ctx)
}
