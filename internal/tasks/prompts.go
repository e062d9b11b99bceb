package tasks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// builders make an item's choices and the index of the right one from a row, with the harness's prompts.
var builders = map[string]func(row) ([]Choice, int, error){
	HellaSwag:    hellaSwag,
	WinoGrande:   winoGrande,
	PIQA:         piqa,
	ARCEasy:      arc,
	ARCChallenge: arc,
}

// afterSpace are choices that follow prompt behind a space.
func afterSpace(prompt string, endings []string) []Choice {
	out := make([]Choice, len(endings))
	for i, e := range endings {
		out[i] = Choice{Prompt: prompt, Ending: " " + e, Characters: utf8.RuneCountInString(e)}
	}
	return out
}

// hellaSwag is lm_eval/tasks/hellaswag: activity and context, cleaned of WikiHow's marks.
func hellaSwag(r row) ([]Choice, int, error) {
	s, err := r.texts("activity_label", "ctx_a", "ctx_b")
	if err != nil {
		return nil, 0, err
	}
	var endings []string
	if err := r.get("endings", &endings, "a list of texts"); err != nil {
		return nil, 0, err
	}
	label, err := r.label("label")
	if err != nil {
		return nil, 0, err
	}
	for i := range endings {
		endings[i] = cleanHellaSwag(endings[i])
	}
	return afterSpace(cleanHellaSwag(s[0]+": "+s[1]+" "+capitalize(s[2])), endings), label, nil
}

var brackets = regexp.MustCompile(`\[.*?\]`)

func cleanHellaSwag(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), " [title]", ". ")
	return strings.ReplaceAll(brackets.ReplaceAllString(s, ""), "  ", " ")
}

// capitalize is Python's: the first letter large, all others small.
func capitalize(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToTitle(first)) + strings.ToLower(s[n:])
}

// winoGrande is lm_eval/tasks/winogrande: what follows the blank, given the sentence up to it with either option filled in.
func winoGrande(r row) ([]Choice, int, error) {
	s, err := r.texts("sentence", "option1", "option2")
	if err != nil {
		return nil, 0, err
	}
	answer, err := r.label("answer")
	if err != nil {
		return nil, 0, err
	}
	before, after, ok := strings.Cut(s[0], "_")
	if !ok {
		return nil, 0, fmt.Errorf("there is no blank, _, in its sentence %q", s[0])
	}
	if after = strings.TrimSpace(after); after == "" {
		return nil, 0, fmt.Errorf("nothing follows the blank in its sentence %q", s[0])
	}
	return []Choice{{Prompt: before + s[1], Ending: " " + after}, {Prompt: before + s[2], Ending: " " + after}}, answer - 1, nil
}

// piqa is lm_eval/tasks/piqa.
func piqa(r row) ([]Choice, int, error) {
	s, err := r.texts("goal", "sol1", "sol2")
	if err != nil {
		return nil, 0, err
	}
	label, err := r.label("label")
	if err != nil {
		return nil, 0, err
	}
	return afterSpace("Question: "+s[0]+"\nAnswer:", s[1:]), label, nil
}

// arc is lm_eval/tasks/arc. The data is the Hugging Face form, or AI2's own, where question is an object.
func arc(r row) ([]Choice, int, error) {
	type option struct{ Text, Label string }
	var question string
	var texts, labels []string
	var own struct {
		Stem    string
		Choices []option
	}
	if r.get("question", &own, "an object") == nil && own.Stem != "" {
		question = own.Stem
		for _, c := range own.Choices {
			texts, labels = append(texts, c.Text), append(labels, c.Label)
		}
	} else {
		var choices struct{ Text, Label []string }
		var err error
		if question, err = r.text("question"); err != nil {
			return nil, 0, err
		}
		if err = r.get("choices", &choices, "an object with text and label"); err != nil {
			return nil, 0, err
		}
		texts, labels = choices.Text, choices.Label
	}
	key, err := r.text("answerKey")
	if err != nil {
		return nil, 0, err
	}
	if len(texts) < 2 || len(texts) != len(labels) {
		return nil, 0, errors.New("its choices and their labels are not of one number, two at least")
	}
	right := slices.Index(labels, key)
	if right < 0 {
		return nil, 0, fmt.Errorf("answerKey %q is none of its labels %s", key, strings.Join(labels, ", "))
	}
	return afterSpace("Question: "+question+"\nAnswer:", texts), right, nil
}
