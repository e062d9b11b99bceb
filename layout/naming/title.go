package naming

import (
	"slices"
	"strings"
	"unicode"
)

// Title is general.name of the pruned model. oldLabel and label are general.size_label before and now: "Llama 3.2 3B Instruct" becomes
// "Llama 3.2 2.6B Instruct pruned". What has neither a letter nor a digit is no name and stays.
func Title(name, oldLabel, label string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return name
	}
	words := strings.Fields(name)
	if i := slices.IndexFunc(words, func(w string) bool { return oldLabel != "" && strings.EqualFold(w, oldLabel) }); i >= 0 {
		words[i] = label
		name = strings.Join(words, " ")
	}
	if strings.HasSuffix(strings.ToLower(name), "pruned") {
		return name
	}
	return name + " pruned"
}

// FineTune is general.finetune of the pruned model.
func FineTune(tune string) string {
	switch {
	case tune == "":
		return "pruned"
	case strings.HasSuffix(strings.ToLower(tune), "pruned"):
		return tune
	}
	return tune + "-pruned"
}
