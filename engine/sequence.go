package engine

// Unscored in place of a target marks a position whose prediction does not count.
const Unscored Token = -1

// Sequence is one run of tokens that the model sees from its first position on. Targets has the length of Tokens;
// Targets[i] is the token that position i must predict, or [Unscored].
type Sequence struct {
	Tokens, Targets []Token

	// Ref, if not nil, makes the session report another loss at the scored positions: the KL divergence in nats (at least 0) of
	// the masked model from the model that Ref was taken from. Either all sequences of a batch have a Ref, or none.
	Ref *Reference
}

// Scored returns the number of positions that count.
func (s Sequence) Scored() int {
	n := 0
	for _, t := range s.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Reference is what the whole model predicts at the scored positions of one sequence, in their order: the K most probable
// tokens and their log-probabilities in nats, sorted from high to low. IDs and LogProbs have K entries for each position. The
// rest of the vocabulary is one more outcome, whose probability is what is missing to 1.
type Reference struct {
	K        int
	IDs      []Token
	LogProbs []float32
}
