package cli

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/llamabind"
)

const quantizeUsage = `Usage: ggufprune quantize IN.gguf [OUT.gguf] TYPE [THREADS] [flags]

Quantises a model with llama.cpp's own quantiser. The tensors are those that llama-quantize writes; the file appears only
when it is complete, and never in the place of another. Without OUT.gguf it is ggml-model-TYPE.gguf beside IN.gguf.

Examples:
  ggufprune quantize model-F16.gguf model-Q4_K_M.gguf Q4_K_M
  ggufprune quantize --imatrix imatrix.gguf model-F16.gguf model-IQ3_M.gguf IQ3_M

How:
` + quantOptionsUsage + `  -t, --threads N          CPU threads (default: physical cores)
      --force              overwrite an existing file
` + commonUsage

// quantizeCommand is "ggufprune quantize".
type quantizeCommand struct {
	how     quantFlags
	threads int
	force   bool
}

func (c *quantizeCommand) usage() string { return quantizeUsage }

func (c *quantizeCommand) flags(fs *pflag.FlagSet) {
	c.how.add(fs)
	fs.IntVarP(&c.threads, "threads", "t", -1, "")
	fs.BoolVar(&c.force, "force", false, "")
}

// arguments marks a command that reads what is no flag.
func (c *quantizeCommand) arguments() {}

func (c *quantizeCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	j, err := c.job(fs)
	if err != nil {
		return err
	}
	out, err := pipeline.Quantize(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	return printQuantize(u, j, out)
}

// printQuantize prints the written file.
func printQuantize(u *ui.UI, j pipeline.QuantizeJob, out *pipeline.QuantizeOutcome) error {
	u.Resultf("output  %s", out.Path)
	u.Resultf("        %s (was %s), %s, %.2f bits a weight", formatSize(out.Bytes), formatSize(out.Before), j.Quantize.Params.Type.Name,
		8*float64(out.Bytes)/float64(out.Params))
	u.Resultf("        %s", tensorText(out.Tensors))
	u.Resultf("        SHA-256 %s", out.SHA256)
	if out.IMatrix != "" {
		u.Resultf("imatrix %s", out.IMatrix)
	}
	return u.JSON(newQuantizeJSON(j, out))
}

// job reads the arguments as llama-quantize does: IN [OUT] TYPE [THREADS].
func (c *quantizeCommand) job(fs *pflag.FlagSet) (j pipeline.QuantizeJob, err error) {
	args := fs.Args()
	if len(args) < 2 {
		return j, usagef("give the model, the file to write and the type: ggufprune quantize in.gguf out.gguf Q4_K_M")
	}
	j.In, j.Force = args[0], c.force
	rest := args[1:]
	if t, err := llamabind.ParseFileType(rest[0]); err == nil {
		j.Out = filepath.Join(filepath.Dir(j.In), "ggml-model-"+t.Name+".gguf")
	} else if j.Out, rest = rest[0], rest[1:]; len(rest) == 0 {
		return j, usagef("the type is missing, as the last argument: %v", err)
	}
	threads := c.threads
	switch {
	case len(rest) > 2:
		return j, usagef("unexpected argument %q; see ggufprune help quantize", rest[2])
	case len(rest) == 2:
		if threads, err = strconv.Atoi(rest[1]); err != nil {
			return j, usagef("%q is no number of threads; see ggufprune help quantize", rest[1])
		}
	}
	if threads == 0 || threads < -1 || threads > 1024 {
		return j, usagef("%d threads are not possible; give 1 to 1024", threads)
	}
	if threads < 0 {
		threads = llamabind.PhysicalCores()
	}
	j.Quantize, err = c.how.quantization(fs, rest[0], threads)
	return j, err
}

// tensorText lists how many tensors have which type: "13 F32, 84 Q4_K".
func tensorText(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ") + " tensors"
}

// printQuantized prints what came of --quantize and --imatrix-out.
func printQuantized(u *ui.UI, w *pipeline.WriteResult) {
	if w.IMatrix != "" {
		defer u.Resultf("imatrix %s", w.IMatrix)
	}
	q := w.Quantized
	if q == nil {
		return
	}
	if q.Pruned == nil {
		u.Resultf("quant   %s, not checked", q.Type.Name)
	} else {
		u.Resultf("quant   %s, passed: KL divergence %.3g from the pruned model, %.3g for the whole model quantised so (at most x%.1f)",
			q.Type.Name, q.Pruned.KLD, q.Whole.KLD, q.Most)
		u.Resultf("        PPL %.4f quantised", q.PPL.PPL)
	}
}
