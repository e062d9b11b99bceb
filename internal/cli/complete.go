package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/commands"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// shells writes the script of each shell. They ask the program itself, so what they offer is always up to date.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error {
		if _, err := io.WriteString(w, bashFallback); err != nil {
			return err
		}
		return root.GenBashCompletionV2(w, true)
	},
	"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
}

var shellNames = []string{"bash", "zsh", "fish", "powershell"}

// bashFallback stands in for the two functions of the package bash-completion that cobra's script uses, where that is not
// installed. The words are put together again that bash takes apart at "=" and ":"; file names are left to bash.
const bashFallback = `if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        local i word glue=
        words=()
        for ((i = 0; i <= COMP_CWORD; i++)); do
            word=${COMP_WORDS[i]}
            if ((i > 0)) && [[ -n $glue || $word == [=:]* ]]; then
                words[${#words[@]}-1]+=$word
            else
                words+=("$word")
            fi
            glue=
            case $word in = | : | ==) glue=1 ;; esac
        done
        cword=$((${#words[@]} - 1))
        cur=${words[cword]}
        prev=
        ((cword == 0)) || prev=${words[cword-1]}
    }
fi
if ! declare -F _filedir >/dev/null; then
    _filedir() {
        [[ $1 != -d ]] || COMPREPLY=($(compgen -d -- "$cur"))
    }
fi
`

// newCompletionCmd returns "ggufprune completion".
func newCompletionCmd(e engine.Runtime) *cobra.Command {
	return commands.Define(e, &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "completions for bash, zsh, fish or PowerShell",
		Long: `Prints a script with which the shell completes commands, flags and the values of flags: the names of models in Ollama and
LM Studio, too. The script asks the program, so it need not be printed again after an update.`,
		Example: `  ggufprune completion bash > ~/.local/share/bash-completion/completions/ggufprune
  ggufprune completion zsh > ~/.zsh/completions/_ggufprune
  ggufprune completion fish > ~/.config/fish/completions/ggufprune.fish`,
		ValidArgs: shellNames,
		Args:      cobra.ArbitraryArgs,
	}, nil, func(cmd *cobra.Command, args []string, u *ui.UI) error {
		if len(args) != 1 || shells[args[0]] == nil {
			return flags.Errorf("completion: name one shell: bash, zsh, fish or powershell")
		}
		var b strings.Builder
		if err := shells[args[0]](cmd.Root(), &b); err != nil {
			return err
		}
		return render.Text(u, "completion", b.String())
	})
}

// complete answers a shell's request for completions, of which the last word is the one to complete. Cobra does it, but for
// llama.cpp's short flags of more than one letter, which pflag does not know.
func complete(ctx context.Context, root *cobra.Command, request []string) error {
	words := request[1:]
	if len(words) > 1 {
		if cmd := lookup(root, words[0]); cmd != nil {
			last := words[len(words)-1]
			rest, open := flags.NormalizeArgs(cmd.Flags(), words[1:len(words)-1])
			if open && strings.HasPrefix(last, "-") {
				if strings.Contains(last, "=") {
					expanded, _ := flags.NormalizeArgs(cmd.Flags(), []string{last})
					last = expanded[0]
				} else {
					completeShort(root.OutOrStdout(), cmd, last, request[0] == cobra.ShellCompRequestCmd)
				}
			}
			words = slices.Concat(words[:1], rest, []string{last})
			cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = flags.Brief(f) })
		}
	}
	root.SetArgs(append(request[:1], words...))
	return root.ExecuteContext(ctx)
}

// completeShort prints a command's short flags of more than one letter that begin with word.
func completeShort(w io.Writer, cmd *cobra.Command, word string, describe bool) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		for _, form := range flags.Forms(f) {
			if len(form) < 3 || strings.HasPrefix(form, "--") || !strings.HasPrefix(form, word) {
				continue
			}
			if describe {
				form += "\t" + flags.Brief(f)
			}
			fmt.Fprintln(w, form)
		}
	})
}
