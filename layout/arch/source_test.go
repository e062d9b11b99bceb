//go:build cgo

package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTraitsAgainstSource reads llama.cpp's source and holds the tables against it: an architecture whose file derives
// something from a layer's index must be known to. It needs the source that `make setup` fetches.
func TestTraitsAgainstSource(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "third_party", "llama.cpp", "src", "src", "models")
	files, err := filepath.Glob(filepath.Join(dir, "*.cpp"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files in %s: run `make setup` first", len(files), dir)
	}
	swa := regexp.MustCompile(`load_swa_pattern\(ml, (\d+)(, (?:/\*.*\*/ ?)?true)?\)`)
	tests := []struct {
		what    string
		pattern *regexp.Regexp
		ok      func(Traits) bool
	}{
		{"leading dense layers", regexp.MustCompile(`n_layer_dense_lead\b`), func(t Traits) bool { return t.DenseLead }},
		{"a step of layers without RoPE", regexp.MustCompile(`n_no_rope_layer_step\b`), func(t Traits) bool { return len(t.Fixed) > 0 }},
		{"a step of expert layers", regexp.MustCompile(`il \+ 1\) % hparams\.n_moe_layer_step`), func(t Traits) bool { return len(t.Fixed) > 0 }},
		{"an interval of full attention", regexp.MustCompile(`full_attn_interval\b`), func(t Traits) bool { return t.Recurrent }},
		{"recurrent layers told by heads", regexp.MustCompile(`is_recr_impl\[.*\] += .*n_head_kv\(i?l?\) == 0`), func(t Traits) bool { return t.Hybrid }},
		{"a type told by the number of layers", regexp.MustCompile(`= type == LLM_TYPE_|if \(type == LLM_TYPE_`), func(t Traits) bool { return len(t.Counted) > 0 }},
		{"the residual stream's halving", regexp.MustCompile(`rescale_every_n_layers`), func(Traits) bool { return false }},
	}
	patterns := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		arch, tr, known := archOfFile(file)
		if m := swa.FindSubmatch(text); m != nil && known && tr.Join != KeepAll {
			patterns++
			period, _ := strconv.Atoi(string(m[1]))
			if tr.SWA == nil || tr.SWA.period != period || tr.SWA.first != (len(m[2]) > 0) {
				t.Errorf("%s: the loader's pattern is %q, the table says %+v", arch, m[0], tr.SWA)
			}
		}
		for _, tt := range tests {
			if tt.pattern.Match(text) && known && tr.Join != KeepAll && !tt.ok(tr) {
				t.Errorf("%s has %s, which the table does not know", arch, tt.what)
			}
		}
	}
	if patterns < 15 {
		t.Errorf("only %d sliding-window patterns found: has llama.cpp changed its ways?", patterns)
	}
}

// fileArchs are files whose names are not their architectures' apart from punctuation, and those of which the text is not
// about the architecture of that name.
var fileArchs = map[string]string{
	"openai-moe": "gpt-oss",
	"lfm2":       "", // sets n_layer_dense_lead to the number of layers
	"ernie4-5":   "", // the lead is that of ernie4_5-moe, in another file
}

// archOfFile finds the Traits of the architecture in a file of src/models; known is false for those that are not in any table.
func archOfFile(file string) (arch string, tr Traits, known bool) {
	name := strings.TrimSuffix(filepath.Base(file), ".cpp")
	if a, ok := fileArchs[name]; ok {
		name = a
	}
	squeeze := regexp.MustCompile(`[^a-z0-9]`)
	want := squeeze.ReplaceAllString(name, "")
	for a, t := range special {
		if squeeze.ReplaceAllString(a, "") == want {
			return a, t, true
		}
	}
	for _, a := range plain {
		if squeeze.ReplaceAllString(a, "") == want {
			return a, Traits{Join: AnyLayer}, true
		}
	}
	for _, a := range parallel {
		if squeeze.ReplaceAllString(a, "") == want {
			return a, Traits{Join: SameLayer}, true
		}
	}
	return name, Traits{}, false
}

// TestWidthsAgainstSource: a loader that reads FFN lengths layer by layer is known, and no other is taken for one.
func TestWidthsAgainstSource(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "third_party", "llama.cpp", "src", "src", "models", "*.cpp"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files: run `make setup` first", len(files))
	}
	perLayer := regexp.MustCompile(`int64_t n_ff(_cur)? *= *hparams\.n_ff\(il?\);|FFN_UP, .*hparams\.n_ff\(il?\)`)
	dense := regexp.MustCompile(`LLM_TENSOR_FFN_UP,`)
	found, others := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, known := archOfFile(file)
		if !known || !dense.Match(text) {
			continue
		}
		got := perLayer.Match(text)
		if p := (Params{Arch: name}); got != p.WidthPerLayer() {
			t.Errorf("%s reads a width for each layer: %v, the table says %v", name, got, p.WidthPerLayer())
		}
		if got {
			found++
		} else {
			others++
		}
	}
	if found+1 != len(widthPerLayer) || others < 40 { // nemotron_h_moe has nemotron_h's loader
		t.Errorf("%d architectures with a width for each layer, %d others", found, others)
	}
}

func TestSideOf(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]Side{
		"ffn_up.weight": Rows, "ffn_gate.bias": Rows, "ffn_down.weight": Columns, "ffn_down.bias": NoSide, "ffn_norm.weight": NoSide,
		"ffn_norm.bias": NoSide, "post_ffw_norm.weight": NoSide, "ffn_up.scale": NoSide, "ffn_down.input_scale": NoSide,
		"ffn.act.scales": Rows, "ffn_sub_norm.weight": Unknown, "ffn_act.scales": Unknown, "ffn_up_exps.weight": Unknown, "ffn_up_exps.scale": Unknown,
		"ffn_gate.lora_a": Unknown, "ffn_up.3.weight": Unknown, "attn_q.weight": Unknown,
	} {
		if got := SideOf(rest); got != want {
			t.Errorf("%s is on side %d, want %d", rest, got, want)
		}
	}
}
