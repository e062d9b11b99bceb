package render

import (
	"runtime"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/llamabind"
)

// Text prints a text that is a command's whole result, or as a JSON object of the command's name and the text.
func Text(u *ui.UI, command, text string) error {
	u.Resultf("%s", strings.TrimSuffix(text, "\n"))
	return u.JSON(textJSON{command, text})
}

// textJSON is printed by completion and man.
type textJSON struct {
	Command string `json:"command"`
	Text    string `json:"text"`
}

// Version prints the versions of the program and of what is in it, and the devices that llama.cpp finds.
func Version(u *ui.UI, devices []engine.Device) error {
	v := versionJSON{Tool: version.Tool(), LlamaCpp: version.Llama(), LlamaTree: llamabind.LlamaTree, Go: runtime.Version(), Devices: []deviceJSON{}}
	u.Resultf("%s\nllama.cpp %s, tree %s\n%s %s/%s", v.Tool, v.LlamaCpp, v.LlamaTree, v.Go, runtime.GOOS, runtime.GOARCH)
	for _, d := range devices {
		v.Devices = append(v.Devices, deviceJSON{d.Name, d.Description, d.Type, d.Free, d.Total})
		u.Resultf("device %s: %s", d.Name, d.Description)
	}
	return u.JSON(v)
}

// versionJSON is printed by version.
type versionJSON struct {
	Tool      string       `json:"tool"`
	LlamaCpp  string       `json:"llama_cpp"`
	LlamaTree string       `json:"llama_cpp_tree"`
	Go        string       `json:"go"`
	Devices   []deviceJSON `json:"devices"`
}

// deviceJSON is a device that llama.cpp finds.
type deviceJSON struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Type        string `json:"type"`
	Free        uint64 `json:"free_bytes"`
	Total       uint64 `json:"total_bytes"`
}

// Sample is what a model and its pruned version make of a prompt.
type Sample struct {
	Prompt, Original, Pruned string
	Kept                     bool // the pruned model's file
}

// Demo prints the first sentence of each text, and the JSON object of the whole demonstration.
func Demo(u *ui.UI, out *pipeline.Outcome, s Sample) error {
	u.Resultf("")
	u.Resultf("prompt    %s", oneLine(s.Prompt))
	u.Resultf("original  %s", firstSentence(s.Original))
	u.Resultf("pruned    %s", firstSentence(s.Pruned))
	if !s.Kept {
		u.Notef("the pruned model was deleted; keep it with: ggufprune demo -o tiny-pruned.gguf")
	}
	return u.JSON(demoJSON{newResultJSON("demo", out, ""), s.Prompt, s.Original, s.Pruned, s.Kept})
}

// demoJSON is printed by demo.
type demoJSON struct {
	Result    resultJSON `json:"result"`
	Prompt    string     `json:"prompt"`
	Original  string     `json:"original_text"`
	Pruned    string     `json:"pruned_text"`
	KeptFiles bool       `json:"kept"`
}

// firstSentence returns s up to the end of its first sentence, or all of it.
func firstSentence(s string) string {
	s = oneLine(s)
	for i, c := range s {
		if strings.ContainsRune(".!?", c) && (i+1 == len(s) || s[i+1] == ' ') {
			return s[:i+1]
		}
	}
	return s
}
