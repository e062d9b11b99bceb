package corpus

import "strings"

// asking are the kinds whose documents ask something first.
var asking = []string{"problems", "assistant"}

// The labels of a document of these kinds.
const (
	asks    = "### Instruction:\n"
	answers = "\n\n### Response:\n"
)

// Questions returns what the built-in texts ask, without their answers: what a model that was tuned on conversations can answer in its
// own way. They are in the texts' order, one of each kind after the other.
func Questions() (out []string, err error) {
	var of [][]string
	most := 0
	for _, k := range kinds {
		for _, name := range asking {
			if k.Name != name {
				continue
			}
			c, err := k.Read()
			if err != nil {
				return nil, err
			}
			var questions []string
			for _, d := range c.Documents {
				rest, ok := strings.CutPrefix(d, asks)
				question, _, answered := strings.Cut(rest, answers)
				if ok && answered {
					questions = append(questions, question)
				}
			}
			of, most = append(of, questions), max(most, len(questions))
		}
	}
	for i := range most {
		for _, questions := range of {
			if i < len(questions) {
				out = append(out, questions[i])
			}
		}
	}
	return out, nil
}
