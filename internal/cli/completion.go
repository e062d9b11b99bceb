package cli

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

const completionUsage = `Usage: ggufprune completion bash|zsh|fish

Prints a script with which the shell completes commands, flags and the values of flags. It is made from the flags of this
very program, so print it again after an update.

Examples:
  ggufprune completion bash > ~/.local/share/bash-completion/completions/ggufprune
  ggufprune completion zsh > ~/.zsh/completions/_ggufprune
  ggufprune completion fish > ~/.config/fish/completions/ggufprune.fish
` + commonUsage

// completionCommand is "ggufprune completion".
type completionCommand struct{}

func (*completionCommand) usage() string { return completionUsage }

func (*completionCommand) flags(*pflag.FlagSet) {}

func (*completionCommand) arguments() {}

// shells writes the script of each shell.
var shells = map[string]func([]completable) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}

func (*completionCommand) run(_ context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	if fs.NArg() != 1 || shells[fs.Arg(0)] == nil {
		return usagef("completion: name one shell: bash, zsh or fish")
	}
	return printText(u, "completion", shells[fs.Arg(0)](completables()))
}

// printText prints a text that is a command's whole result.
func printText(u *ui.UI, command, text string) error {
	u.Resultf("%s", strings.TrimSuffix(text, "\n"))
	return u.JSON(textJSON{command, text})
}

// completable is a command with its flags in alphabetical order.
type completable struct {
	entry
	flags []completableFlag
}

// completableFlag is a flag as shells complete it.
type completableFlag struct {
	short, long string   // without dashes; short may have several letters, or none
	also        []string // further short forms
	text        string   // a line of description
	value       string   // the placeholder of its value, "" for a switch
	choices     []string // the values that there are, where they can be listed
}

// words returns the flag as it may be typed.
func (f completableFlag) words() []string {
	if f.short == "" {
		return []string{"--" + f.long}
	}
	words := []string{"-" + f.short, "--" + f.long}
	for _, s := range f.also {
		words = append(words, "-"+s)
	}
	return words
}

// choices lists the values of flags that have a fixed set of them.
func choices() map[string][]string {
	return map[string][]string{
		"chat":       pipeline.ChatModes(),
		"convention": {string(perplexity.Samples), string(perplexity.Windows)},
		"flash-attn": {"on", "off", "auto"},
		"kind":       names(blockmask.Units()),
		"layout":     names(layout.Kinds),
		"metric":     {perplexity.NLL.String(), perplexity.KLD.String()},
		"repair":     {"auto", "full", "map", "off"},
		"progress":   {"auto", "plain", "json"},
		"split-mode": {"none", "layer", "row"},
		"strategy":   pipeline.Strategies(),
	}
}

func names[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// completables returns all commands and their flags, and help, whose words are the commands.
func completables() []completable {
	short, fixed := map[string][]string{}, choices()
	for _, s := range slices.Sorted(maps.Keys(multiShort)) {
		short[multiShort[s]] = append(short[multiShort[s]], s)
	}
	var out []completable
	for _, e := range entries() {
		c := completable{entry: e}
		fs, _ := flagSet(e.name, e.new())
		text := readUsage(e.new().usage()).flags()
		fs.VisitAll(func(f *pflag.Flag) {
			t := text[f.Name]
			flag := completableFlag{short: f.Shorthand, long: f.Name, text: firstPart(t.text), choices: fixed[f.Name]}
			if s := short[f.Name]; len(s) > 0 {
				flag.short, flag.also = s[0], s[1:]
			}
			if f.NoOptDefVal == "" {
				flag.value = t.value
				if flag.value == "" {
					flag.value = "VALUE"
				}
			}
			c.flags = append(c.flags, flag)
		})
		c.flags = append(c.flags, completableFlag{short: "h", long: "help", text: "this command's usage"})
		sort.Slice(c.flags, func(i, j int) bool { return c.flags[i].long < c.flags[j].long })
		out = append(out, c)
	}
	return out
}

// firstPart cuts a flag's description where its first thought ends: menus have little room.
func firstPart(s string) string {
	for _, sep := range []string{" (", ": ", "; "} {
		s, _, _ = strings.Cut(s, sep)
	}
	return strings.TrimRight(s, ",.")
}

// commandWords returns the names of all commands, and help.
func commandWords(list []completable) []string {
	words := []string{"help"}
	for _, c := range list {
		words = append(words, c.name)
	}
	slices.Sort(words)
	return words
}
