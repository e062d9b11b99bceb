package paperbench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// ourStep is one step of our greedy search, from the blocks that the reference had removed.
type ourStep struct {
	search.Choice
	cpu float64 // seconds
}

// sink passes on why a search does without a copy, and nothing else.
type sink struct{ progress.Silent }

func (sink) Notef(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// search runs our greedy search beside the reference's steps, as the program does: where the model's types are slow, on a copy in F16.
// dir is for that copy.
func (o options) search(ctx context.Context, ref *reference, dir string) ([]ourStep, error) {
	cpu := machine.CPUSeconds()
	src, err := o.open(ctx, ref.Threads)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if sha, err := src.SHA256(); err != nil {
		return nil, err
	} else if sha != ref.SHA256 {
		fmt.Printf("note: the reference ran another file than %s\n", o.model)
	}
	twin, err := retype.ForSearch(src).Load(ctx, src, filepath.Join(dir, "twin.gguf"), sink{})
	if err != nil {
		return nil, err
	}
	set := ref.set()
	nSeq, seqLen := corpus.Text{Batch: ref.Batch}.Shape(set.Longest())
	session, err := src.Session(ctx, nSeq, seqLen)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	how := "as it is"
	if twin != nil {
		how = "on a copy in F16"
	}
	fmt.Printf("%s, searched %s; llama.cpp %s, %s\n", src.Model.Info().Desc, how, llamabind.LlamaTag, machine.CPUName())
	fmt.Printf("%d documents, %d tokens, %d of them predicted; at most %d at once, %d threads on both sides\n",
		len(set.Sequences), set.Tokens(), set.Scored(), ref.Batch, ref.Threads)
	fmt.Printf("CPU s before the first step: PyTorch %.1f, ours %.1f\n", ref.Load, machine.CPUSeconds()-cpu)
	return alongside(ctx, session, set, ref.Steps)
}

// alongside takes our greedy step at each of the reference's, and then removes what that removed.
func alongside(ctx context.Context, session engine.Session, set *perplexity.Set, theirs []referenceStep) ([]ourStep, error) {
	v, err := perplexity.NewEvaluator(session, set)
	if err != nil {
		return nil, err
	}
	// As in a search, what a step has measured of its choice is the next one's base.
	greedy := strategy.Greedy{Scorer: search.NewLedger(v, search.Cost{Blocks: session.Blocks()}, nil, "")}
	var removed blockmask.Mask
	var steps []ourStep
	for i, their := range theirs {
		cpu := machine.CPUSeconds()
		candidates := blockmask.Candidates(blockmask.Mix, session.Blocks(), removed)
		c, err := greedy.Choose(ctx, removed, candidates)
		if err != nil {
			return nil, err
		}
		s := ourStep{Choice: c, cpu: machine.CPUSeconds() - cpu}
		if err := their.sameCandidates(s); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		steps = append(steps, s)
		removed = removed.Union(their.removed)
	}
	return steps, nil
}

// sameCandidates refuses steps that are not about the same model.
func (s referenceStep) sameCandidates(our ourStep) error {
	for _, c := range our.Scored {
		if _, ok := s.ppl[c.Mask.String()]; !ok {
			return fmt.Errorf("%s is no candidate of the reference; was it another model?", c.Mask)
		}
	}
	if len(s.ppl) != len(our.Scored) {
		return fmt.Errorf("the reference has %d candidates, we have %d; was it another model?", len(s.ppl), len(our.Scored))
	}
	return nil
}
