// Package engine says what the jobs of this program need of an inference runtime, as plain types and small interfaces. Package
// llamabind implements them with llama.cpp, and main.go hands that to the jobs; their tests use the fake in engine/enginetest.
// Nothing here runs anything, and nothing here needs cgo.
//
//	Runtime --Load--> Model --NewSession--> Session   (sequences, with blocks left out)
//	                        --NewBench----> Bench     (speed)
//	        --NewChatTemplate--> ChatTemplate
//
// A session can do more than every job wants. What not every runtime must be able to do is an interface of its own, which a job
// asks for by a type assertion: [Brancher], [Referencer], [Influencer], [BlockRunner], [Stepper].
//
// Shapes are row-major, the last dimension contiguous: (positions, n_embd) holds one row of n_embd numbers for each position.
// Losses and log-probabilities are in nats. Errors of a runtime are of type [Error] where their kind matters.
package engine

import "github.com/ggufprune/ggufprune/blockmask"

// What can be left out of a model's graph, by package blockmask's names: a runtime needs to know no other package.
type (
	Block = blockmask.Block
	Mask  = blockmask.Mask
	Cut   = blockmask.Cut
)

// The kinds of blocks.
const (
	Mixer = blockmask.Mixer
	FFN   = blockmask.FFN
)
