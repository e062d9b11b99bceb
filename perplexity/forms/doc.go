// Package forms reads the JSON records of text collections: texts, instructions and conversations in the forms that trainers document
// (docs/FORMATS.md, Texts). What is not understood is refused, with the line: a record of which a part is left out would give a number
// that looks like any other.
package forms

// Form is a kind of record.
type Form string

// The kinds. Each has several spellings.
const (
	Alpaca   Form = "alpaca"   // {"instruction", "input", "output"}
	ShareGPT Form = "sharegpt" // {"conversations": [{"from", "value"}, ...]}, {"messages": [{"role", "content"}, ...]}
	JSONText Form = "jsonl"    // {"text"}
)
