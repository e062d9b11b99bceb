//go:build cgo

package peertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compared is the part of compare's JSON that llama-perplexity prints too.
type compared struct {
	Comparison struct {
		Models []struct {
			PPL        float64 `json:"ppl"`
			StdErr     float64 `json:"ppl_stderr"`
			Divergence map[string]any
		} `json:"models"`
	} `json:"comparison"`
}

// statistics are the lines of llama-perplexity --kl-divergence, as ggufprune's numbers give them. "±" separates no field.
func (c compared) statistics(model int) string {
	base, m := c.Comparison.Models[0], c.Comparison.Models[model]
	num := func(name string) float64 { return m.Divergence[name].(float64) }
	at := func(of, name string) float64 { return m.Divergence[of].(map[string]any)[name].(float64) }
	var b strings.Builder
	line := func(format string, v ...any) { fmt.Fprintf(&b, format+"\n", v...) }
	line("Mean PPL(Q): %.6f %.6f", m.PPL, m.StdErr)
	line("Mean PPL(base): %.6f %.6f", base.PPL, base.StdErr)
	line("Cor(ln(PPL(Q)), ln(PPL(base))): %.2f", 100*num("ln_ppl_correlation"))
	line("Mean ln(PPL(Q)/PPL(base)): %.6f %.6f", num("ln_ppl_ratio"), num("ln_ppl_ratio_stderr"))
	line("Mean PPL(Q)/PPL(base): %.6f %.6f", num("ppl_ratio"), num("ppl_ratio_stderr"))
	line("Mean KLD: %.6f %.6f", num("kld"), num("kld_stderr"))
	for _, q := range [][2]string{
		{"Maximum", "max"},
		{"99.9%", "p99_9"},
		{"99.0%", "p99"},
		{"95.0%", "p95"},
		{"90.0%", "p90"},
		{"Median", "median"},
		{"10.0%", "p10"},
		{"5.0%", "p5"},
		{"1.0%", "p1"},
		{"0.1%", "p0_1"},
		{"Minimum", "min"},
	} {
		line("%s KLD: %.6f", q[0], at("kld_quantiles", q[1]))
	}
	line("Mean Δp: %.3f %.3f", 100*num("delta_p"), 100*num("delta_p_stderr"))
	for _, q := range [][2]string{
		{"Maximum", "max"},
		{"99.9%", "p99_9"},
		{"99.0%", "p99"},
		{"95.0%", "p95"},
		{"90.0%", "p90"},
		{"75.0%", "p75"},
		{"Median", "median"},
		{"25.0%", "p25"},
		{"10.0%", "p10"},
		{"5.0%", "p5"},
		{"1.0%", "p1"},
		{"0.1%", "p0_1"},
		{"Minimum", "min"},
	} {
		line("%s Δp: %.3f", q[0], 100*at("delta_p_quantiles", q[1]))
	}
	line("RMS Δp: %.3f %.3f", 100*num("delta_p_rms"), 100*num("delta_p_rms_stderr"))
	line("Same top p: %.3f %.3f", 100*num("same_top"), 100*num("same_top_stderr"))
	return b.String()
}

// peerStatistics runs llama-perplexity --kl-divergence and returns its lines in the form of compared.statistics.
func peerStatistics(t *testing.T, model, base string, args ...string) string {
	t.Helper()
	// Its log is written by a thread that may lose the last lines at exit: a run without them is repeated.
	for range 12 {
		out, err := exec.Command(peer, append([]string{"-m", model, "-t", threads, "--kl-divergence", "--kl-divergence-base", base}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("llama-perplexity: %v: %s", err, out[max(0, len(out)-500):])
		}
		_, tail, _ := strings.Cut(string(out), "====== Perplexity statistics ======")
		tail, last, whole := strings.Cut(tail, "Same top p:")
		last, _, ended := strings.Cut(last, "\n")
		if !whole || !ended {
			continue
		}
		var lines []string
		for line := range strings.Lines(tail + "Same top p:" + last) {
			name, values, isValue := strings.Cut(line, ":")
			// The difference of perplexities is not printed by compare: the ratio says it.
			if isValue && !strings.Contains(name, "PPL(Q)-PPL(base)") {
				lines = append(lines, name+": "+strings.NewReplacer("±", " ", "%", " ").Replace(values))
			}
		}
		return strings.Join(lines, "\n")
	}
	t.Fatal("llama-perplexity never printed its last line")
	return ""
}

// squeeze takes differences of white space away.
func squeeze(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), " :", ":")
}

// All digits that llama-perplexity --kl-divergence prints are ours: with the base file that it saved, without any, and for a
// pruned file. And the base file that we save is its own, byte for byte.
func TestCompareEqualsLlamaPerplexity(t *testing.T) {
	pruned := filepath.Join(dir, "pruned-compare.gguf")
	ggufprune(t, "apply", "--repair", "off", "-m", models["Q8_0"], "--mask", "attn:3,ffn:5", "-o", pruned, "--no-check")
	for _, args := range [][]string{
		{"-c", "128"},
		{"-c", "256", "-b", "512", "-ub", "256", "--chunks", "5"},
	} {
		theirs := filepath.Join(dir, "peer.kld")
		llamaPerplexity(t, models["F16"], text, append([]string{"--kl-divergence-base", theirs}, args...)...)
		others := []string{models["Q8_0"], models["Q4_0"], pruned}
		if len(args) > 2 {
			others = others[2:]
		}
		ours := filepath.Join(dir, "ours.kld")
		own := compare(t, append(append([]string{models["F16"]}, others...), append([]string{"-f", text, "--save-base-logits", ours, "--force"}, args...)...)...)
		sameFile(t, theirs, ours)
		var shape []string // with a base file, the windows are its own
		for i := 0; i < len(args); i += 2 {
			if args[i] == "-b" || args[i] == "-ub" {
				shape = append(shape, args[i:i+2]...)
			}
		}
		read := compare(t, append(append([]string{"--base-logits", theirs}, others...), shape...)...)
		for i, model := range others {
			want := squeeze(peerStatistics(t, model, theirs, args...))
			for how, c := range map[string]compared{"without a base file": own, "with its base file": read} {
				if got := squeeze(c.statistics(1 + i)); got != want {
					t.Errorf("%s, %v, %s:\nggufprune        %s\nllama-perplexity %s", filepath.Base(model), args, how, got, want)
				}
			}
		}
	}
}

func compare(t *testing.T, args ...string) (c compared) {
	t.Helper()
	raw := ggufprune(t, append([]string{"compare", "--no-speed", "--json", "-q"}, args...)...)
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return c
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
}
