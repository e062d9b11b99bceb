package tasks

import (
	"fmt"
	"strconv"
	"strings"
)

// parseHellaSwagText reads what llama-perplexity --hellaswag reads: for each item six lines, the context, the number of the
// right ending from 0 on, and four endings. Bytes are taken as they are, but for Windows' line ends: llama-perplexity takes their
// carriage returns for text that the model has to predict, unless it runs on Windows.
func parseHellaSwagText(text string) (*Task, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.TrimRight(text, "\n")
	n := strings.Count(text, "\n") + 1
	if n%6 != 0 {
		return nil, &FormError{HellaSwag, fmt.Sprintf("it is text of %d lines, which is not a multiple of six", n)}
	}
	t := &Task{Convention: LlamaHellaSwag, Norm: Tokens}
	for i := 0; i < n; i += 6 {
		var lines [6]string
		for j := range lines {
			lines[j], text, _ = strings.Cut(text, "\n")
		}
		label, err := strconv.Atoi(strings.TrimSpace(lines[1]))
		if err != nil || label < 0 || label > 3 {
			return nil, &FormError{HellaSwag, fmt.Sprintf("it is text whose line %d is not the number of an ending, 0 to 3", i+2)}
		}
		t.Items = append(t.Items, single(i/6+1, afterSpace(lines[0], lines[2:]), label))
	}
	return t, nil
}

// parseWinoGrandeCSV reads what llama-perplexity --winogrande reads: index,sentence,option1,option2,answer, where quotes around a
// sentence go and quotes in it stay as they are. Like there, a row that is not so (a heading, for example) is left out. Unlike
// there, the last row needs no line end behind it: llama-perplexity's -f takes the file's last one away and then loses that
// row, its -bf does not.
func parseWinoGrandeCSV(text string) (*Task, error) {
	t := &Task{Convention: LlamaWinoGrande, Norm: Tokens}
	n := 0
	for line := range strings.Lines(text) {
		n++
		choices, right, ok := winoGrandeRow(strings.TrimSuffix(line, "\n"))
		if !ok {
			t.Skipped++
			continue
		}
		t.Items = append(t.Items, single(n, choices, right))
	}
	if len(t.Items) == 0 {
		return nil, &FormError{WinoGrande, fmt.Sprintf("it is text of which no line is such a row, the first is %q", firstLine([]byte(text)))}
	}
	return t, nil
}

func winoGrandeRow(line string) (choices []Choice, right int, ok bool) {
	comma := commas(line)
	if len(comma) < 4 {
		return nil, 0, false
	}
	sentence := line[comma[0]+1 : comma[1]]
	if strings.HasPrefix(sentence, `"`) {
		if len(sentence) < 2 {
			return nil, 0, false
		}
		sentence = sentence[1 : len(sentence)-1]
	}
	before, after, ok := strings.Cut(sentence, "_")
	answer := strings.TrimSpace(line[comma[3]+1:])
	// The answer is what C++ reads as a number: digits, whatever follows.
	if !ok || answer == "" || answer[0] != '1' && answer[0] != '2' || len(answer) > 1 && answer[1] >= '0' && answer[1] <= '9' {
		return nil, 0, false
	}
	return []Choice{
		{Prompt: before + line[comma[1]+1:comma[2]], Ending: after},
		{Prompt: before + line[comma[2]+1:comma[3]], Ending: after},
	}, int(answer[0] - '1'), true
}

// commas returns the places of the first four commas outside quotes.
func commas(line string) []int {
	var out []int
	quoted := false
	for i := 0; i < len(line) && len(out) < 4; i++ {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				out = append(out, i)
			}
		}
	}
	return out
}
