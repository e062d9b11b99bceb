package source

import (
	"cmp"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/layout"
)

// Facts describe the source.
type Facts struct {
	Ref                string // the name that led to Path; "" where a path was given
	Path, Arch, SHA256 string
	Bytes              int64
	Params             uint64
	Layers, Blocks     int
	LlamaCpp           string // which llama.cpp it runs on
}

// Facts describes the source, whose blocks and hash are known.
func (s *Source) Facts(blocks []layout.Block, hash string) Facts {
	return Facts{
		Ref: s.Spec.Given(), Path: s.Spec.Path, Arch: s.File.Arch(), SHA256: hash, Bytes: s.File.Bytes(), Params: s.File.Params(),
		Layers: s.Model.Info().NLayer, Blocks: len(blocks), LlamaCpp: s.Spec.Engine.Version().Tag,
	}
}

// DefaultContext is n_ctx where the user gives none: llama-perplexity's, or the model's if that is shorter.
func DefaultContext(given int, info engine.ModelInfo) int {
	const usual = 512
	if given > 0 {
		return given
	}
	return min(usual, cmp.Or(info.NCtxTrain, usual))
}
