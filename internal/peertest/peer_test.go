//go:build cgo

package peertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/llamabind"
)

const (
	root    = "../.."
	tiny    = root + "/testdata/tiny-11m-Q8_0.gguf"
	threads = "2"
)

var (
	dir     string            // of all files of the tests
	program string            // ggufprune
	peer    string            // llama-perplexity
	text    string            // a text that both read
	models  map[string]string // the small model by type; all derived from the one that is committed
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "peertest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

func prepare() (err error) {
	if dir, err = os.MkdirTemp("", "ggufprune-peer-*"); err != nil {
		return err
	}
	if peer, err = filepath.Abs(root + "/third_party/llama.cpp/build/bin/llama-perplexity"); err != nil {
		return err
	}
	if _, err := os.Stat(peer); errors.Is(err, fs.ErrNotExist) {
		return errors.New("llama-perplexity is not built: run `make peers`")
	}
	program = filepath.Join(dir, "ggufprune")
	if out, err := exec.Command("go", "build", "-o", program, root).CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	text = filepath.Join(dir, "heldout.txt")
	if err := os.WriteFile(text, corpus.HeldOut()[:9000], 0o600); err != nil {
		return err
	}
	models = map[string]string{}
	for _, t := range []string{"F16", "Q4_0"} {
		models[t] = filepath.Join(dir, "tiny-11m-"+t+".gguf")
		if err := llamabind.Quantize(tiny, models[t], t, 2); err != nil {
			return err
		}
	}
	models["Q8_0"], err = filepath.Abs(tiny)
	return err
}

var final = regexp.MustCompile(`Final estimate: PPL = \d+\.\d{4} \+/- \d+\.\d{5}`)

// llamaPerplexity returns the last line of llama-perplexity on the text, from "Final estimate" on.
func llamaPerplexity(t *testing.T, model, on string, args ...string) string {
	t.Helper()
	// Its log is written by a thread that may lose the last line at exit: a run without it is repeated.
	var out []byte
	for range 40 { // a busy machine lost it five times in a row
		var err error
		out, err = exec.Command(peer, append([]string{"-m", model, "-f", on, "-t", threads}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("llama-perplexity: %v: %s", err, out[max(0, len(out)-500):])
		}
		if line := final.Find(out); line != nil {
			return string(line)
		}
	}
	t.Fatalf("llama-perplexity never printed its final line: %s", out[max(0, len(out)-500):])
	return ""
}

// ggufprune runs the program and returns its standard output.
func ggufprune(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, append(args, "-t", threads)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("ggufprune %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}

// All digits that llama-perplexity prints, ggufprune prints: for each type, context and number of windows, and for a batch
// that is not the default.
func TestPerplexityEqualsLlamaPerplexity(t *testing.T) {
	for _, kind := range []string{"F16", "Q8_0", "Q4_0"} {
		for _, args := range [][]string{
			{"-c", "128"},
			{"-c", "128", "--chunks", "7"},
			{"-c", "256"},
			{"-c", "256", "--chunks", "3"},
			{"-c", "512"},
			{"-c", "512", "--chunks", "5"},
			{"-c", "128", "-b", "512", "-ub", "128", "--chunks", "10"},
		} {
			want := llamaPerplexity(t, models[kind], text, args...)
			got := ggufprune(t, append([]string{"ppl", "-m", models[kind], "-f", text}, args...)...)
			if strings.TrimSpace(got) != want {
				t.Errorf("%s %v: ggufprune %q, llama-perplexity %q", kind, args, got, want)
			}
		}
	}
}

// outcome is the part of prune's JSON that is compared.
type outcome struct {
	Output struct {
		Path   string `json:"path"`
		Layout string `json:"layout"`
	} `json:"output"`
	Steps []struct {
		Ratio float64 `json:"params_removed_ratio"`
	} `json:"steps"`
	Check struct {
		MaxAbsDiff float64  `json:"max_abs_diff"`
		Context    int      `json:"n_ctx"`
		Batch      int      `json:"n_batch"`
		Masked     *float64 `json:"ppl_masked"`
		Written    *float64 `json:"ppl_written"`
		StdErr     *float64 `json:"ppl_written_stderr"`
	} `json:"check"`
}

// The whole job: the check passes, and llama-perplexity, which knows nothing of masks, prints for the written file the
// perplexity that the tool printed.
func TestPrunedFilesInLlamaPerplexity(t *testing.T) {
	for _, kind := range []string{"F16", "Q8_0", "Q4_0"} {
		for _, ratio := range []float64{0.1, 0.2, 0.3} {
			name := fmt.Sprintf("%s-%g", kind, ratio)
			out := filepath.Join(dir, "pruned-"+name+".gguf")
			raw := ggufprune(t, "prune", "--repair", "off", "--no-compare", "-m", models[kind], "--ratio", strconv.FormatFloat(ratio, 'g', -1, 64), "-f", text,
				"-c", "128", "--chunks", "6", "-o", out, "--json", "-q")
			var o outcome
			if err := json.Unmarshal([]byte(raw), &o); err != nil {
				t.Fatalf("%s: %v: %s", name, err, raw)
			}
			if n := len(o.Steps); n == 0 || o.Steps[n-1].Ratio < ratio || (n > 1 && o.Steps[n-2].Ratio >= ratio) {
				t.Errorf("%s: steps %+v", name, o.Steps)
			}
			if o.Check.Masked == nil || o.Check.Written == nil || *o.Check.Masked != *o.Check.Written || o.Check.MaxAbsDiff != 0 {
				t.Fatalf("%s: check %+v", name, o.Check)
			}
			got := fmt.Sprintf("Final estimate: PPL = %.4f +/- %.5f", *o.Check.Written, *o.Check.StdErr)
			if want := llamaPerplexity(t, out, text, "-c", strconv.Itoa(o.Check.Context), "-b", strconv.Itoa(o.Check.Batch), "--chunks", "6"); got != want {
				t.Errorf("%s, layout %s: the tool %q, llama-perplexity on its file %q", name, o.Output.Layout, got, want)
			}
		}
	}
}

// The same for repaired files, in each layout, and for one whose FFNs are experts: what the tool says of the model whose weights it changed in memory, llama-perplexity
// finds in the file.
func TestRepairedFilesInLlamaPerplexity(t *testing.T) {
	for _, c := range []struct{ kind, mask, layout, raised string }{
		{"F16", "attn:3,ffn:3", "native", ""},
		{"Q8_0", "attn:3,ffn:5", "deci", ""},
		{"Q4_0", "attn:3,ffn:5", "zeros", ""},
		{"Q4_0", "attn:3,ffn:5", "deci", "Q8_0"},
		{"experts", "ffn:0", "zeros", ""},
	} {
		model, ok := models[c.kind]
		if !ok {
			model = root + "/third_party/llama.cpp/build/archs/ernie4_5-moe-moe.gguf"
		}
		out := filepath.Join(dir, "repaired-"+c.kind+c.raised+".gguf")
		args := []string{
			"apply", "-m", model, "--mask", c.mask, "--layout", c.layout, "--repair", "auto", "--repair-tokens", "12288",
			"-f", text, "-c", "128", "--chunks", "6", "-o", out, "--json", "-q",
		}
		if c.raised != "" {
			args = append(args, "--repair-type", c.raised)
		}
		raw := ggufprune(t, args...)
		var o struct {
			outcome
			Repair struct {
				Undone bool `json:"undone"`
				Blocks []struct {
					Skipped string `json:"skipped"`
					Type    string `json:"type"`
				} `json:"blocks"`
			} `json:"repair"`
		}
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			t.Fatalf("%s: %v: %s", c.kind, err, raw)
		}
		fitted := 0
		for _, b := range o.Repair.Blocks {
			if b.Skipped == "" {
				fitted++
			}
			if (b.Skipped == "") != (b.Type == c.raised) && c.raised != "" {
				t.Errorf("%s raised to %s: a block skipped for %q has type %q", c.kind, c.raised, b.Skipped, b.Type)
			}
		}
		if o.Repair.Undone || fitted == 0 || o.Output.Layout != c.layout || o.Check.MaxAbsDiff != 0 {
			t.Errorf("%s: repaired %d blocks, undone %v, layout %s, difference %g", c.kind, fitted, o.Repair.Undone, o.Output.Layout, o.Check.MaxAbsDiff)
		}
		got := fmt.Sprintf("Final estimate: PPL = %.4f +/- %.5f", *o.Check.Written, *o.Check.StdErr)
		if want := llamaPerplexity(t, out, text, "-c", strconv.Itoa(o.Check.Context), "-b", strconv.Itoa(o.Check.Batch), "--chunks", "6"); got != want {
			t.Errorf("%s, layout %s: the tool %q, llama-perplexity on its file %q", c.kind, o.Output.Layout, got, want)
		}
	}
}

// The same for any -c, -b and -ub: a batch may be smaller than a window, a graph is never larger than a batch, and neither needs to
// divide anything.
func TestAnyBatchIsLlamaPerplexitys(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 17))
	for range 12 {
		c := 16 + rng.IntN(200)
		b, ub := 1+rng.IntN(2*c), 1+rng.IntN(2*c)
		args := []string{"-c", strconv.Itoa(c), "-b", strconv.Itoa(b), "-ub", strconv.Itoa(ub), "--chunks", "4"}
		want := llamaPerplexity(t, models["Q8_0"], text, args...)
		if got := ggufprune(t, append([]string{"ppl", "-m", models["Q8_0"], "-f", text}, args...)...); strings.TrimSpace(got) != want {
			t.Errorf("%v: ggufprune %q, llama-perplexity %q", args, got, want)
		}
	}
}
