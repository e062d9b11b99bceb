package tasks

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the data sets whose prompts are known.
const (
	HellaSwag    = "hellaswag"
	WinoGrande   = "winogrande"
	PIQA         = "piqa"
	ARCEasy      = "arc-easy"
	ARCChallenge = "arc-challenge"
)

// Names lists the data sets whose prompts are known, in the order of the BlockPruner paper's table.
var Names = []string{PIQA, WinoGrande, HellaSwag, ARCEasy, ARCChallenge}

// Convention says which tokens of a choice count; see the package comment.
type Convention string

// The conventions. The last three are llama-perplexity's options of that name.
const (
	Harness             Convention = "lm-evaluation-harness"
	LlamaHellaSwag      Convention = "llama-perplexity --hellaswag"
	LlamaWinoGrande     Convention = "llama-perplexity --winogrande"
	LlamaMultipleChoice Convention = "llama-perplexity --multiple-choice"
)

// Norm is what acc_norm divides a log-likelihood by.
type Norm string

// What acc_norm divides by.
const (
	NoNorm     Norm = ""           // there is no acc_norm
	Characters Norm = "characters" // of the choice, without the space in front of it
	Tokens     Norm = "tokens"     // that count
)

// Task is an evaluation set.
type Task struct {
	Name       string // as the user calls it
	Convention Convention
	Norm       Norm
	Items      []Item
	Skipped    int // rows of the file that hold no item
}

// Item is one question. The text of a choice is Prompt + Ending; which of its tokens count is up to the convention.
type Item struct {
	Place   int // in the file, counted from 1: items, or lines of a CSV file
	Choices []Choice
	Right   []bool // for each choice
}

// Choice is one of an item's answers.
type Choice struct {
	Prompt, Ending string
	Characters     int // Norm Characters: what the log-likelihood is divided by
}

// CanonicalName returns the name of a data set as this package calls it: arc_easy, the harness's, is arc-easy.
func CanonicalName(name string) string {
	n := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if slices.Contains(Names, n) {
		return n
	}
	return name
}

// Chance is the part of the items that a blind choice gets right on average.
func (t *Task) Chance() float64 {
	sum := 0.0
	for _, it := range t.Items {
		right := 0
		for _, r := range it.Right {
			if r {
				right++
			}
		}
		sum += float64(right) / float64(len(it.Choices))
	}
	return sum / float64(len(t.Items))
}

// single returns an item with one right choice.
func single(place int, choices []Choice, right int) Item {
	it := Item{Place: place, Choices: choices, Right: make([]bool, len(choices))}
	it.Right[right] = true
	return it
}

// FormError says that a file is in no form in which its data set is known.
type FormError struct {
	Task string
	Seen string // what is wrong, or what the file holds instead
}

func (e *FormError) Error() string {
	return fmt.Sprintf("not in a form of %s that is known: %s; give %s", e.Task, e.Seen, knownForms(e.Task))
}

// knownForms lists the forms of a data set for an error.
func knownForms(name string) string {
	const binary = "llama.cpp's binary multiple-choice form"
	switch name {
	case HellaSwag:
		return "JSON lines with activity_label, ctx_a, ctx_b, endings and label, llama.cpp's text form (six lines an item), or " + binary
	case WinoGrande:
		return "JSON lines with sentence, option1, option2 and answer, llama.cpp's CSV form (index,sentence,option1,option2,answer), or " + binary
	case PIQA:
		return "JSON lines with goal, sol1, sol2 and label, or " + binary
	case ARCEasy, ARCChallenge:
		return "JSON lines with question, choices and answerKey, or " + binary
	default:
		return binary + ", or one of the data sets " + strings.Join(Names, ", ")
	}
}
