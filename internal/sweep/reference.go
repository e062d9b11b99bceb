package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// referenceSearch is a greedy search that an independent program (PyTorch, F32) ran on the same tokens.
type referenceSearch struct {
	BasePPL map[string]float64 `json:"base_ppl"`
	Steps   []struct {
		Removed string             `json:"removed"` // "3.mlp"
		PPL     map[string]float64 `json:"ppl"`
		Margin  float64            `json:"margin_to_second"` // relative
		Second  string             `json:"second"`
		Others  map[string]float64 `json:"candidates"`
	} `json:"steps"`
	TokenIDs map[string][][]engine.Token `json:"token_ids"`

	BlockInfluence struct {
		PerBlock map[string]float64 `json:"per_block"` // 1 - mean cosine
	} `json:"block_influence"`
}

// The search must agree with the reference up to what rounding can do.
const (
	referenceTolerance = 0.005 // of a perplexity
	referenceMargin    = 0.002 // below it the order of the first two may flip
)

const referenceSet = "calib_instruct"

// reference runs our greedy search on the reference's token ids and compares decisions and perplexities, every candidate's.
func reference(ctx context.Context, modelPath, jsonPath string) error {
	raw, err := os.ReadFile(jsonPath)
	if err != nil {
		return err
	}
	var ref referenceSearch
	if err := json.Unmarshal(raw, &ref); err != nil {
		return fmt.Errorf("%s: %w", jsonPath, err)
	}
	set := &perplexity.Set{Convention: perplexity.Samples, Corpus: jsonPath}
	for _, ids := range ref.TokenIDs[referenceSet] {
		set.Context = len(ids)
		set.Sequences = append(set.Sequences, engine.Sequence{Tokens: ids, Targets: append(append([]engine.Token(nil), ids[1:]...), engine.Unscored)})
	}
	m, err := llamabind.LoadModel(ctx, modelPath, engine.ModelParams{})
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: 2, SeqLen: set.Context})
	if err != nil {
		return err
	}
	defer s.Close()
	ev, err := perplexity.NewEvaluator(s, set)
	if err != nil {
		return err
	}
	if err := compareInfluence(ctx, &ref, s, set.Sequences); err != nil {
		return err
	}
	model, err := searchModel(modelPath, s)
	if err != nil {
		return err
	}
	res, err := search.Run(ctx, strategy.Greedy{Scorer: ev}, model, blockmask.Mix, search.Goal{Blocks: len(ref.Steps)}, nil)
	if err != nil {
		return err
	}
	return compareSearch(&ref, res)
}

// searchModel counts the parameters of every block from the file.
func searchModel(path string, s *llamabind.Session) (*search.Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	model := &search.Model{Blocks: s.Blocks(), Params: map[blockmask.Block]uint64{}, Total: f.Params()}
	for _, b := range model.Blocks {
		for _, name := range s.Weights(b) {
			if t, ok := f.Tensor(name); ok {
				model.Params[b] += t.Elements()
			}
		}
	}
	return model, nil
}

func compareSearch(ref *referenceSearch, res *search.Result) error {
	wrong := 0
	worst := relative(res.Base, ref.BasePPL[referenceSet])
	for i, want := range ref.Steps {
		got := res.Steps[i]
		name, second := referenceBlock(want.Removed), referenceBlock(want.Second)
		flip := got.Removed.String() == second && want.Margin < referenceMargin
		if got.Removed.String() != name && !flip {
			wrong++
		}
		for _, c := range got.Candidates {
			for theirs, ppl := range want.Others {
				if referenceBlock(theirs) == c.Mask.String() {
					worst = math.Max(worst, relative(c.Score, ppl))
				}
			}
		}
		fmt.Printf("step %d  ours %-8s ppl %.4f   reference %-8s ppl %.4f   margin %.2f%%\n",
			i+1, got.Removed, got.Score, name, want.PPL[referenceSet], 100*want.Margin)
		if got.Removed.String() != name {
			break // from here on the two searches are about different models
		}
	}
	fmt.Printf("figure reference_steps_differing %d\nfigure reference_worst_ppl_diff_pct %.4f\n", wrong, 100*worst)
	if wrong > 0 || worst > referenceTolerance {
		return fmt.Errorf("%d decisions differ from the reference's, perplexities by up to %.3f%%", wrong, 100*worst)
	}
	return nil
}

// compareInfluence holds the cosines of all blocks against the reference's.
func compareInfluence(ctx context.Context, ref *referenceSearch, s *llamabind.Session, seqs []engine.Sequence) error {
	mean := map[string]float64{}
	n := 0
	for i := 0; i+s.BatchSeqs() <= len(seqs); i += s.BatchSeqs() {
		inf, err := s.Influence(ctx, seqs[i:i+s.BatchSeqs()])
		if err != nil {
			return err
		}
		for b, c := range inf.Blocks {
			mean[b.String()] += 1 - c
		}
		n++
	}
	worst := 0.0
	for name, want := range ref.BlockInfluence.PerBlock {
		worst = math.Max(worst, relative(mean[referenceBlock(name)]/float64(n), want))
	}
	fmt.Printf("figure reference_influence_worst_diff_pct %.4f\n", 100*worst)
	if worst > 0.01 {
		return fmt.Errorf("block influence differs from the reference's by %.2f%%", 100*worst)
	}
	return nil
}

func relative(got, want float64) float64 { return math.Abs(got/want - 1) }

// referenceBlock turns "3.mlp" into "ffn:3".
func referenceBlock(s string) string {
	layer, kind, _ := strings.Cut(s, ".")
	if kind == "mha" {
		return "attn:" + layer
	}
	return "ffn:" + layer
}
