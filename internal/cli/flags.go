package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/llamabind"
)

// commonFlags are every command's.
type commonFlags struct {
	json, quiet, verbose bool
	progress             string
}

const commonUsage = `
Every command:
      --json               print one JSON object to standard output (docs/CLI_JSON.md)
  -q, --quiet              print only the result, warnings and errors
  -v, --verbose            print llama.cpp's log too
      --progress MODE      auto: one live line on a terminal, else a line now and then; plain; json: one object a line
                           on standard error (docs/CLI_JSON.md)
  -h, --help               this text
`

func (c *commonFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&c.json, "json", false, "")
	fs.BoolVarP(&c.quiet, "quiet", "q", false, "")
	fs.BoolVarP(&c.verbose, "verbose", "v", false, "")
	fs.StringVar(&c.progress, "progress", "auto", "")
}

// ui returns what the flags ask for.
func (c *commonFlags) ui(s Streams) (*ui.UI, error) {
	if !oneOf(c.progress, "auto", "plain", "json") {
		return nil, usagef("--progress is %q; give auto, plain or json", c.progress)
	}
	return ui.New(ui.Options{
		Out: s.Out, Err: s.Err, Level: c.level(), JSON: c.json, Events: c.progress == "json", Plain: c.progress == "plain",
	}), nil
}

func (c *commonFlags) level() ui.Level {
	switch {
	case c.verbose:
		return ui.Verbose
	case c.quiet:
		return ui.Quiet
	default:
		return ui.Normal
	}
}

// modelFlags say which model to load and where it runs; all are llama.cpp's.
type modelFlags struct {
	path, hfRepo, hfFile, ngl, device, splitMode, tensorSplit, rpc, flashAttn string
	mainGPU, threads                                                          int
	noMmap, noRepack                                                          bool
}

const modelUsage = `
Model and devices, as in llama.cpp:
  -m, --model FILE         the model; of a split model any file. Or a name: ollama:llama3.2:3b is Ollama's model of that name,
                           lmstudio:publisher/model LM Studio's
  -hf, --hf-repo REPO      user/repo[:quant] in llama.cpp's or Hugging Face's cache (default quant: Q4_K_M, else Q8_0, else
                           the first); nothing is downloaded (also -hfr)
  -hff, --hf-file FILE     this file of the repository, whatever its quant
  -t, --threads N          CPU threads (default: physical cores)
  -ngl, --n-gpu-layers N   layers to offload; a number, auto or all (default: auto)
  -dev, --device LIST      devices to use, comma-separated; none for CPU only
  -mg, --main-gpu N        the main GPU (default: 0)
  -sm, --split-mode MODE   none, layer or row (default: layer)
  -ts, --tensor-split LIST how to divide the model between GPUs, e.g. 3,1
      --rpc LIST           RPC servers, host:port, comma-separated
  -fa, --flash-attn MODE   on, off or auto (default: auto)
      --no-mmap            read the model instead of mapping it
      --no-repack          keep weights as they are in the file, slower on the CPU (also -nr)
`

func (m *modelFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&m.path, "model", "m", "", "")
	fs.StringVar(&m.hfRepo, "hf-repo", "", "")
	fs.StringVar(&m.hfFile, "hf-file", "", "")
	fs.IntVarP(&m.threads, "threads", "t", -1, "")
	fs.StringVar(&m.ngl, "n-gpu-layers", "auto", "")
	fs.StringVar(&m.device, "device", "", "")
	fs.IntVar(&m.mainGPU, "main-gpu", 0, "")
	fs.StringVar(&m.splitMode, "split-mode", "layer", "")
	fs.StringVar(&m.tensorSplit, "tensor-split", "", "")
	fs.StringVar(&m.rpc, "rpc", "", "")
	fs.StringVar(&m.flashAttn, "flash-attn", "auto", "")
	fs.BoolVar(&m.noMmap, "no-mmap", false, "")
	fs.BoolVar(&m.noRepack, "no-repack", false, "")
}

// runtime checks the flags and returns them as the pipeline takes them.
func (m *modelFlags) runtime() (pipeline.Runtime, error) {
	r := pipeline.Runtime{Threads: m.threads, FlashAttn: m.flashAttn}
	switch {
	case m.threads == 0 || m.threads < -1 || m.threads > 1024:
		return r, usagef("--threads is %d; give a number of threads from 1 to 1024", m.threads)
	case m.threads == -1:
		r.Threads = llamabind.PhysicalCores()
	}
	if !oneOf(m.flashAttn, "on", "off", "auto") {
		return r, usagef("--flash-attn is %q; give on, off or auto", m.flashAttn)
	}
	if !oneOf(m.splitMode, "none", "layer", "row") {
		return r, usagef("--split-mode is %q; give none, layer or row", m.splitMode)
	}
	ngl, err := parseNGL(m.ngl)
	if err != nil {
		return r, err
	}
	split, err := parseTensorSplit(m.tensorSplit)
	if err != nil {
		return r, err
	}
	if m.mainGPU < 0 {
		return r, usagef("--main-gpu is %d; give a device's number, counted from 0", m.mainGPU)
	}
	r.Model = engine.ModelParams{
		NGPULayers: ngl, Devices: splitList(m.device), MainGPU: m.mainGPU, TensorSplit: split, SplitMode: m.splitMode,
		RPC: splitList(m.rpc), NoMmap: m.noMmap, NoRepack: m.noRepack,
	}
	return r, m.find(&r)
}

// parseNGL reads -ngl; -1 stands for all layers. Without memory fitting, llama.cpp's "auto" is "all".
func parseNGL(s string) (int, error) {
	if s == "auto" || s == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < -1 || n > 1<<20 {
		return 0, usagef("--n-gpu-layers is %q; give a number of layers, auto or all", s)
	}
	return n, nil
}

// parseTensorSplit reads -ts: proportions divided by commas or slashes.
func parseTensorSplit(s string) ([]float32, error) {
	var out []float32
	for _, f := range splitList(strings.ReplaceAll(s, "/", ",")) {
		v, err := strconv.ParseFloat(f, 32)
		if err != nil || !(v >= 0 && v <= 1e6) {
			return nil, usagef("--tensor-split is %q; give proportions such as 3,1", s)
		}
		out = append(out, float32(v))
	}
	return out, nil
}

// splitList splits at commas and drops what is empty.
func splitList(s string) []string {
	var out []string
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func oneOf(s string, choices ...string) bool { return slices.Contains(choices, s) }
