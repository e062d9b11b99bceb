package commands

import (
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// NewQuantizeCmd returns "ggufprune quantize".
func NewQuantizeCmd(e engine.Runtime) *cobra.Command {
	o := quantizeOptions{engine: e, how: flags.Quantize{Engine: e}}
	return Define(e, &cobra.Command{
		Use:   "quantize IN.gguf [OUT.gguf] TYPE [THREADS] [flags]",
		Short: "quantise a model with llama.cpp's quantiser",
		Long: `Quantises a model with llama.cpp's own quantiser. The tensors are those that llama-quantize writes; the file appears only
when it is complete, and never in the place of another. Without OUT.gguf it is ggml-model-TYPE.gguf beside IN.gguf.`,
		Example: `  ggufprune quantize model-F16.gguf model-Q4_K_M.gguf Q4_K_M
  ggufprune quantize --imatrix imatrix.gguf model-F16.gguf model-IQ3_M.gguf IQ3_M`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeQuantize(e),
	}, o.addFlags, o.run)
}

// quantizeOptions are the flags of quantize.
type quantizeOptions struct {
	engine  engine.Runtime
	how     flags.Quantize
	threads int
	force   bool
}

func (o *quantizeOptions) addFlags(fs *pflag.FlagSet) {
	o.how.AddFlags(fs)
	flags.Section(fs, "How", func(fs *pflag.FlagSet) {
		fs.IntVarP(&o.threads, "threads", "t", flags.Unset, "`N` CPU threads (default: physical cores)")
		fs.BoolVar(&o.force, "force", false, "overwrite an existing file")
	})
}

// completeQuantize completes the model to read, then a type; the name of the file to write is the user's.
func completeQuantize(e engine.Quantizer) cobra.CompletionFunc {
	types := flags.CompleteFileTypes(e)
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return []string{"gguf"}, cobra.ShellCompDirectiveFilterFileExt
		case 1, 2:
			return types(cmd, args, word)
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

func (o *quantizeOptions) run(cmd *cobra.Command, args []string, u *ui.UI) error {
	j, err := o.job(args)
	if err != nil {
		return err
	}
	out, err := quantize.Run(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Quantize(u, j, out)
}

// job reads the arguments as llama-quantize does: IN [OUT] TYPE [THREADS].
func (o *quantizeOptions) job(args []string) (j quantize.Job, err error) {
	if len(args) < 2 {
		return j, flags.Errorf("give the model, the file to write and the type: ggufprune quantize in.gguf out.gguf Q4_K_M")
	}
	j.Engine, j.In, j.Force = o.engine, args[0], o.force
	rest := args[1:]
	if t, err := o.how.Engine.ParseFileType(rest[0]); err == nil {
		j.Out = filepath.Join(filepath.Dir(j.In), "ggml-model-"+t.Name+".gguf")
	} else if j.Out, rest = rest[0], rest[1:]; len(rest) == 0 {
		return j, flags.Errorf("the type is missing, as the last argument: %v", err)
	}
	threads := o.threads
	if rest[0] == "" {
		return j, flags.Errorf("the type is empty; give one such as Q4_K_M")
	}
	switch {
	case len(rest) > 2:
		return j, flags.Errorf("unexpected argument %q; see ggufprune help quantize", rest[2])
	case len(rest) == 2:
		if threads, err = strconv.Atoi(rest[1]); err != nil {
			return j, flags.Errorf("%q is no number of threads; see ggufprune help quantize", rest[1])
		}
	}
	if threads == 0 || threads < -1 || threads > 1024 {
		return j, flags.Errorf("%d threads are not possible; give 1 to 1024", threads)
	}
	if threads < 0 {
		threads = o.engine.PhysicalCores()
	}
	j.Options, err = o.how.Resolve(rest[0], threads)
	return j, err
}
