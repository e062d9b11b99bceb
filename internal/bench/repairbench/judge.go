package repairbench

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// whole judges the unpruned model, once for each file.
func (r *rig) whole(ctx context.Context, o *open, path string) (judged, error) {
	if got, ok := r.wholes[path]; ok {
		return got, nil
	}
	got, err := o.judge(ctx, nil)
	if r.wholes == nil {
		r.wholes = map[string]judged{}
	}
	r.wholes[path] = got
	return got, err
}

// judged are held-out numbers of a model.
type judged struct{ instruct, other, kld float64 }

func (o *open) judge(ctx context.Context, mask blockmask.Mask) (judged, error) {
	var out judged
	for _, x := range []struct {
		on *perplexity.Evaluator
		to *float64
	}{{o.instruct, &out.instruct}, {o.kld, &out.kld}, {o.other, &out.other}} {
		if x.on == nil {
			continue
		}
		v, _, err := x.on.Score(ctx, mask, nil)
		if err != nil {
			return out, err
		}
		*x.to = v
	}
	return out, nil
}

// outcome is a pruned model, and the same repaired.
type outcome struct {
	dense, before, after judged
	gone                 float64 // part of the parameters
	repair               *fit.Result
	cpu                  float64 // seconds of the repair
}

// judgeRepaired judges a mask as it is, and repaired by a method. A repair changes the loaded model, so each has its own.
func (r *rig) judgeRepaired(ctx context.Context, path string, seed uint64, mask blockmask.Mask, method fit.Method) (outcome, error) {
	key := fmt.Sprintf("%s %s %d %s", path, mask, seed, method)
	if got, ok := r.outcomes[key]; ok {
		return got, nil
	}
	var out outcome
	o, err := r.open(ctx, path)
	if err != nil {
		return out, err
	}
	defer o.close()
	out.gone = o.gone(mask)
	if out.dense, err = r.whole(ctx, o, path); err != nil {
		return out, err
	}
	if out.before, err = o.judge(ctx, mask); err != nil {
		return out, err
	}
	fitted, held, err := fit.Batches(o.model, r.texts(), r.window, r.tokens, batchSeqs, seed)
	if err != nil {
		return out, err
	}
	cpu := machine.CPUSeconds()
	if out.repair, err = fit.Run(ctx, o.session, o.weights, fit.Request{Removed: mask, Method: method, Fit: fitted, Held: held}); err != nil {
		return out, err
	}
	out.cpu = machine.CPUSeconds() - cpu
	out.after, err = o.judge(ctx, mask)
	if r.outcomes == nil {
		r.outcomes = map[string]outcome{}
	}
	r.outcomes[key] = out
	return out, err
}
