package flags

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Model says which model to load and where it runs; all flags are llama.cpp's.
type Model struct {
	Engine  engine.Runtime
	Path    string // or the model's name, as -m takes it
	Threads int    // Unset for one on each physical core

	hfRepo, hfFile, ngl, device, splitMode, tensorSplit, rpc, flashAttn string
	mainGPU                                                             int
	noMmap, noRepack                                                    bool
}

// DefaultModel returns what the flags are where none of them was given.
func DefaultModel(e engine.Runtime) Model {
	m := Model{Engine: e}
	m.AddFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	return m
}

// AddFlags adds the flags.
func (m *Model) AddFlags(fs *pflag.FlagSet) {
	Section(fs, "Model and devices, as in llama.cpp", func(fs *pflag.FlagSet) {
		fs.StringVarP(&m.Path, "model", "m", "", "`FILE` the model; of a split model any file. Or a name: ollama:llama3.2:3b is Ollama's model of that "+
			"name, lmstudio:publisher/model LM Studio's")
		fs.StringVar(&m.hfRepo, "hf-repo", "", "`REPO` user/repo[:quant] in llama.cpp's or Hugging Face's cache (default quant: Q4_K_M, else Q8_0, else "+
			"the first); nothing is downloaded")
		fs.StringVar(&m.hfFile, "hf-file", "", "`FILE` this file of the repository, whatever its quant")
		fs.IntVarP(&m.Threads, "threads", "t", Unset, "`N` CPU threads (default: physical cores)")
		fs.StringVar(&m.ngl, "n-gpu-layers", "auto", "`N` layers to offload; a number, auto or all")
		fs.StringVar(&m.device, "device", "", "`LIST` devices to use, comma-separated; none for CPU only")
		fs.IntVar(&m.mainGPU, "main-gpu", 0, "`N` the main GPU (default: 0)")
		fs.StringVar(&m.splitMode, "split-mode", "layer", "`MODE` none, layer or row")
		fs.StringVar(&m.tensorSplit, "tensor-split", "", "`LIST` how to divide the model between GPUs, e.g. 3,1")
		fs.StringVar(&m.rpc, "rpc", "", "`LIST` RPC servers, host:port, comma-separated")
		fs.StringVar(&m.flashAttn, "flash-attn", "auto", "`MODE` on, off or auto")
		fs.BoolVar(&m.noMmap, "no-mmap", false, "read the model instead of mapping it")
		fs.BoolVar(&m.noRepack, "no-repack", false, "keep weights as they are in the file, slower on the CPU")
		nameOf(fs, "model", models)
		nameOf(fs, "hf-repo", repositories)
		Choices(fs, "n-gpu-layers", "auto", "all")
		Choices(fs, "split-mode", "none", "layer", "row")
		Choices(fs, "flash-attn", "on", "off", "auto")
	})
}

// Resolve checks the flags and finds the model that they name.
func (m *Model) Resolve() (source.Spec, error) {
	r := source.Spec{Engine: m.Engine, Threads: m.Threads, FlashAttn: m.flashAttn}
	switch {
	case m.Threads == 0 || m.Threads < -1 || m.Threads > 1024:
		return r, Errorf("--threads is %d; give a number of threads from 1 to 1024", m.Threads)
	case m.Threads == -1:
		r.Threads = m.Engine.PhysicalCores()
	}
	if !oneOf(m.flashAttn, "on", "off", "auto") {
		return r, Errorf("--flash-attn is %q; give on, off or auto", m.flashAttn)
	}
	if !oneOf(m.splitMode, "none", "layer", "row") {
		return r, Errorf("--split-mode is %q; give none, layer or row", m.splitMode)
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
		return r, Errorf("--main-gpu is %d; give a device's number, counted from 0", m.mainGPU)
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
		return 0, Errorf("--n-gpu-layers is %q; give a number of layers, auto or all", s)
	}
	return n, nil
}

// parseTensorSplit reads -ts: proportions divided by commas or slashes.
func parseTensorSplit(s string) ([]float32, error) {
	var out []float32
	for _, f := range splitList(strings.ReplaceAll(s, "/", ",")) {
		v, err := strconv.ParseFloat(f, 32)
		if err != nil || !(v >= 0 && v <= 1e6) {
			return nil, Errorf("--tensor-split is %q; give proportions such as 3,1", s)
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

// find puts the model that the flags name into r.
func (m *Model) find(r *source.Spec) error {
	var (
		ref *modelref.Ref
		err error
	)
	switch {
	case m.Path != "" && m.hfRepo != "":
		return Errorf("--model and --hf-repo name a model each; give one of them")
	case m.hfFile != "" && m.hfRepo == "":
		return Errorf("--hf-file is a file of --hf-repo; give that too")
	case m.hfRepo != "":
		ref, err = modelref.System().FindHF(m.hfRepo, m.hfFile)
	case m.Path != "":
		ref, err = modelref.System().Find(m.Path)
	default:
		return Errorf("no model given; name it with -m model.gguf")
	}
	if err != nil {
		return err
	}
	if err := didYouMean(ref); err != nil {
		return err
	}
	r.Path = ref.Path
	if ref.Given != "" {
		r.Ref = ref
	}
	return nil
}

// Tell tells which file the name in r stands for, where the name does not say it.
func Tell(r source.Spec, sink progress.Sink) {
	if r.Ref == nil || r.Ref.Ollama != nil {
		return // an Ollama model's file has its hash for a name
	}
	text := r.Ref.Given + " is " + r.Path
	if r.Ref.Note != "" {
		text += ": " + r.Ref.Note
	}
	sink.Notef("%s", text)
}

// didYouMean recognises the name of an Ollama model where a path was expected.
func didYouMean(ref *modelref.Ref) error {
	if ref.Given != "" {
		return nil
	}
	if _, err := os.Stat(ref.Path); err == nil {
		return nil
	}
	named, err := modelref.System().Find("ollama:" + ref.Path)
	if err != nil {
		return nil // then whoever opens the path says that it is not there
	}
	return fmt.Errorf("model %s does not exist; Ollama has one of this name: -m ollama:%s", ref.Path, named.Ollama.Name)
}
