package cli

import (
	"fmt"
	"slices"
	"strings"
)

// bashCompletion needs nothing but bash 3.2, which macOS has. A word for which it has no answer is completed as a file's name.
func bashCompletion(list []completable) string {
	var b strings.Builder
	words := strings.Join(commandWords(list), " ")
	fmt.Fprintf(&b, `# bash completion of ggufprune, made by: ggufprune completion bash
_ggufprune() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "%s" -- "$cur"))
        return
    fi
    # bash takes --flag=value apart.
    if [ "$cur" = "=" ]; then
        cur=
    elif [ "$prev" = "=" ]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $command in
`, words)
	for _, c := range list {
		other := "" // what is offered where no flag begins
		if c.name == "completion" {
			other = ` *) words="bash zsh fish" ;;`
		}
		fmt.Fprintf(&b, "    %s)\n        case $prev in\n", c.name)
		for _, f := range c.flags {
			if len(f.choices) > 0 {
				fmt.Fprintf(&b, "        %s) words=%q ;;\n", strings.Join(f.words(), "|"), strings.Join(f.choices, " "))
			}
		}
		var flags, valued []string
		for _, f := range c.flags {
			flags = append(flags, f.words()...)
			if f.value != "" && len(f.choices) == 0 {
				valued = append(valued, f.words()...)
			}
		}
		if len(valued) > 0 {
			fmt.Fprintf(&b, "        %s) return ;;\n", strings.Join(valued, "|"))
		}
		fmt.Fprintf(&b, "        *) case $cur in -*) words=%q ;;%s esac ;;\n        esac\n        ;;\n", strings.Join(flags, " "), other)
	}
	fmt.Fprintf(&b, "    help) words=%q ;;\n", words)
	b.WriteString(`    esac
    [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _ggufprune ggufprune
`)
	return b.String()
}

// zshCompletion uses _arguments, which knows flags of one dash and several letters.
func zshCompletion(list []completable) string {
	var b strings.Builder
	b.WriteString("#compdef ggufprune\n# zsh completion of ggufprune, made by: ggufprune completion zsh\n_ggufprune() {\n    local -a commands\n    commands=(\n")
	for _, c := range list {
		fmt.Fprintf(&b, "        %s\n", shellQuote(c.name+":"+zshText(c.summary)))
	}
	fmt.Fprintf(&b, "        %s\n    )\n", shellQuote("help:"+zshText(helpSummary)))
	b.WriteString("    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n" +
		"    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command in\n")
	for _, c := range list {
		fmt.Fprintf(&b, "    %s)\n        _arguments", c.name)
		for _, f := range c.flags {
			b.WriteString(zshFlag(f))
		}
		if c.name == "completion" {
			b.WriteString(" \\\n            '1:shell:(bash zsh fish)'")
		} else if takesArguments(c.new()) {
			b.WriteString(" \\\n            '*:file:_files'")
		}
		b.WriteString("\n        ;;\n")
	}
	b.WriteString("    help) _describe command commands ;;\n    esac\n}\ncompdef _ggufprune ggufprune\n")
	return b.String()
}

func zshFlag(f completableFlag) string {
	var b strings.Builder
	for _, w := range f.words() {
		spec := w
		if f.value != "" && strings.HasPrefix(w, "--") {
			spec += "="
		}
		spec += "[" + zshText(f.text) + "]"
		switch {
		case len(f.choices) > 0:
			spec += ":" + zshText(f.value) + ":(" + strings.Join(f.choices, " ") + ")"
		case f.value != "":
			spec += ":" + zshText(f.value) + ":_files"
		}
		// Flags that may come again exclude nothing; pflag takes the last one.
		fmt.Fprintf(&b, " \\\n            %s", alwaysQuote(spec))
	}
	return b.String()
}

// zshText escapes what _arguments and _describe would read as structure.
func zshText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`, "`", `'`).Replace(s)
}

func alwaysQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fishCompletion lists one line for each flag of each command.
func fishCompletion(list []completable) string {
	var b strings.Builder
	b.WriteString("# fish completion of ggufprune, made by: ggufprune completion fish\n")
	words := commandWords(list)
	none := "not __fish_seen_subcommand_from " + strings.Join(words, " ")
	for _, w := range words {
		summary := helpSummary
		if i := slices.IndexFunc(list, func(c completable) bool { return c.name == w }); i >= 0 {
			summary = list[i].summary
		}
		fmt.Fprintf(&b, "complete -c ggufprune -f -n %s -a %s -d %s\n", fishQuote(none), w, fishQuote(summary))
	}
	fmt.Fprintf(&b, "complete -c ggufprune -f -n '__fish_seen_subcommand_from help' -a %s\n", fishQuote(strings.Join(words, " ")))
	b.WriteString("complete -c ggufprune -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
	for _, c := range list {
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c ggufprune -n %s -l %s", fishQuote("__fish_seen_subcommand_from "+c.name), f.long)
			switch {
			case len(f.short) == 1:
				b.WriteString(" -s " + f.short)
			case f.short != "":
				b.WriteString(" -o " + f.short)
				for _, s := range f.also {
					b.WriteString(" -o " + s)
				}
			}
			switch {
			case len(f.choices) > 0:
				b.WriteString(" -x -a " + fishQuote(strings.Join(f.choices, " ")))
			case f.value != "":
				b.WriteString(" -r")
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(f.text))
		}
	}
	return b.String()
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
