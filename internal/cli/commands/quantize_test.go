package commands

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/quantize"
)

// quantizeJob returns what the arguments of quantize ask for.
func quantizeJob(t *testing.T, line string) (quantize.Job, error) {
	t.Helper()
	o, fs := &quantizeOptions{engine: enginetest.Runtime{}, how: flags.Quantize{Engine: enginetest.Runtime{}}}, pflag.NewFlagSet("quantize", pflag.ContinueOnError)
	o.addFlags(fs)
	args, _ := flags.NormalizeArgs(fs, strings.Fields(line))
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o.job(fs.Args())
}

// Arguments are read as llama-quantize reads them: IN [OUT] TYPE [THREADS].
func TestQuantizeArguments(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		out, typ string
		threads  int
	}{
		"in.gguf out.gguf Q4_K_M":        {"out.gguf", "Q4_K_M", enginetest.Runtime{}.PhysicalCores()},
		"in.gguf out.gguf q4_k 3":        {"out.gguf", "Q4_K_M", 3},
		"models/in.gguf 7 2":             {"models/ggml-model-Q8_0.gguf", "Q8_0", 2},
		"--pure in.gguf Q8_0 -t 5":       {"ggml-model-Q8_0.gguf", "Q8_0", 5},
		"in.gguf out.gguf IQ3_M --force": {"out.gguf", "IQ3_M", enginetest.Runtime{}.PhysicalCores()},
	} {
		j, err := quantizeJob(t, line)
		p := j.Options.Params
		if err != nil || j.Out != want.out || p.Type.Name != want.typ || p.Threads != want.threads || p.Pure != strings.Contains(line, "--pure") {
			t.Errorf("%s: %+v, %v", line, j, err)
		}
	}
	j, err := quantizeJob(t, "a b Q4_0 --tensor-type Attn_V=q6_K --tensor-type x=y=F16 --output-tensor-type Q8_0 --leave-output-tensor")
	want := []engine.TensorRule{{Pattern: "attn_v", Type: uint32(gguf.Q6_K)}, {Pattern: "x=y", Type: uint32(gguf.F16)}}
	if p := j.Options.Params; err != nil || cmp.Diff(want, p.TensorTypes) != "" || *p.OutputType != uint32(gguf.Q8_0) || p.EmbeddingType != nil || !p.LeaveOutput {
		t.Errorf("%+v, %v", j.Options, err)
	}
	o := &quantizeOptions{engine: enginetest.Runtime{}, how: flags.Quantize{Engine: enginetest.Runtime{}}}
	o.addFlags(pflag.NewFlagSet("quantize", pflag.ContinueOnError))
	if _, err := o.job([]string{"in.gguf", "out.gguf", ""}); err == nil || err.Error() != "the type is empty; give one such as Q4_K_M" {
		t.Errorf("an empty type: %v", err)
	}
	for _, line := range []string{"", "a", "a b", "a b c", "a b Q4_0 0", "a b Q4_0 x", "a b Q4_0 1 2", "a b Q4_0 --tensor-type q", "a b Q4_0 --tensor-type =q6_K"} {
		if _, err := quantizeJob(t, line); !errors.As(err, new(*flags.Error)) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
