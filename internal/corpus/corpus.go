// Package corpus holds the text that ggufprune measures perplexity on when the user names none.
//
// All of it was written for this project and comes under its licence; nothing is taken from a data set, so that a
// model under test is unlikely to have seen it. Calibration and held-out text have the same mixture and no passage
// in common: a search that reads the one can be judged on the other.
//
// By bytes, about 30% English exposition, 30% instructions with answers, 12% fiction and dialogue, 11% program code,
// 8% lists, tables, letters and minutes, and 10% French, German, Spanish, Italian, Portuguese, Dutch, Russian,
// Chinese and Japanese. The kinds alternate throughout, which makes a prefix of the corpus a smaller corpus.
//
// Fits of weights spoil what they do not see, so they have more: [Kinds], several times as much in all.
package corpus

import _ "embed"

//go:embed data/default.jsonl
var calibration string

//go:embed data/heldout.txt
var heldOut string

// Calibration returns the default calibration corpus: JSON Lines in UTF-8, one document to a line, either
// {"text"} or, for instructions, the Alpaca form {"instruction", "input", "output"}. The caller owns the bytes.
func Calibration() []byte { return []byte(calibration) }

// HeldOut returns plain UTF-8 text, of the same mixture, that is never calibrated on. The caller owns the bytes.
func HeldOut() []byte { return []byte(heldOut) }
