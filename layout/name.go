package layout

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// DefaultName is the name for the file after the GGUF naming convention,
//
//	<BaseName>-<SizeLabel>-<FineTune>-<Version>-<Encoding>.gguf
//
// e.g. Llama-3.2-2.6B-Instruct-pruned-v1.0-Q8_0.gguf. f is the source. What its metadata does not say is taken from known, the
// name under which a program keeps the model, or where that is empty from the file's.
func DefaultName(f *gguf.File, res *Result, known string) string {
	return DefaultNameAs(f, res, known, encoding(f))
}

// DefaultNameAs is DefaultName of a file that is quantised to another encoding, e.g. Q4_K_M.
func DefaultNameAs(f *gguf.File, res *Result, known, encoding string) string {
	m := &metadata{kvs: res.Plan.KVs}
	get := func(key string) string {
		i := m.index(key)
		if i < 0 {
			return ""
		}
		v, err := m.kvs[i].Value()
		s, ok := v.(string)
		if err != nil || !ok {
			return ""
		}
		return s
	}
	label := get("general.size_label")
	base := get("general.basename")
	if base == "" {
		base = baseOf(f, cmp.Or(get("general.base_model.0.name"), known))
	}
	version := get("general.version")
	if version == "" {
		version = "v1.0"
	}
	if !strings.HasPrefix(strings.ToLower(version), "v") {
		version = "v" + version
	}
	parts := []string{base, label, get("general.finetune"), version, encoding}
	for i, p := range parts {
		parts[i] = fileName(p)
	}
	return strings.Join(parts, "-") + ".gguf"
}

// notInFileNames is what a file name had better not contain.
var notInFileNames = regexp.MustCompile(`[^\p{L}\p{N}._+]+`)

func fileName(s string) string {
	return strings.Trim(notInFileNames.ReplaceAllString(s, "-"), "-.")
}

// sizePart matches a size label, an encoding or a version in a file's name, with which the base name ends.
var sizePart = regexp.MustCompile(`(?i)^(\d+x)?\d+(\.\d+)?[kmbt]$|^(i?q\d.*|f16|f32|bf16|tq\d.*|mxfp4.*)$|^v\d+(\.\d+)*$`)

// blobName is how Ollama and the Hugging Face cache name files by their content.
var blobName = regexp.MustCompile(`^(sha256-)?[0-9a-f]{40,64}$`)

// baseOf finds a base name in the model's name, or else in its file's: the words in front of the size.
func baseOf(f *gguf.File, name string) string {
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(f.Paths()[0]), ".gguf")
		name = regexp.MustCompile(`-\d{5}-of-\d{5}$`).ReplaceAllString(name, "")
		if blobName.MatchString(name) {
			name = f.Arch()
		}
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' || r == '_' })
	for i, w := range words {
		if sizePart.MatchString(w) {
			words = words[:i]
			break
		}
	}
	if len(words) == 0 {
		return "model"
	}
	return strings.Join(words, "-")
}

// fileTypes are the names of llama_ftype, by general.file_type.
var fileTypes = map[uint64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
	13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S",
	22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS",
	31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}

// encoding is the file type by the metadata, or else the tensor type with the most bytes.
func encoding(f *gguf.File) string {
	if v, found, err := f.Uint("general.file_type"); err == nil && found {
		if name, ok := fileTypes[v&^1024]; ok { // 1024: LLAMA_FTYPE_GUESSED
			return name
		}
	}
	bytes := map[gguf.Type]int64{}
	most := gguf.F32
	for _, t := range f.Tensors() {
		bytes[t.Type] += t.Size
	}
	for typ, n := range bytes {
		if n > bytes[most] || n == bytes[most] && typ < most {
			most = typ
		}
	}
	return most.Name()
}

// sizeLabel is general.size_label of the model without removed weights, as gguf-py computes it: "2.6B", and for a mixture
// of experts "8x7B": the number of experts times what a single one would run.
func (m *model) sizeLabel(removed uint64) string {
	total := float64(m.src.Params() - removed)
	experts := m.intKey("expert_count", 0)
	if experts == 0 {
		return rounded(total)
	}
	inExperts := 0.0
	for i, l := range m.layers {
		for _, t := range l.tensors {
			if strings.Contains(t.rest, "_exps.") && (i >= m.nLayer || m.remains(i, ffn)) {
				inExperts += float64(t.Elements())
			}
		}
	}
	return strconv.Itoa(experts) + "x" + rounded(total-inExperts+inExperts/float64(experts))
}

// rounded writes a number of weights with at least two digits: 620M, 2.6B, 13B.
func rounded(n float64) string {
	scaled, suffix := n*1e-3, "K"
	switch {
	case n > 1e12:
		scaled, suffix = n*1e-12, "T"
	case n > 1e9:
		scaled, suffix = n*1e-9, "B"
	case n > 1e6:
		scaled, suffix = n*1e-6, "M"
	}
	digits := 1
	if math.RoundToEven(scaled) < 1 {
		digits = 2
	} else if math.RoundToEven(scaled) >= 10 {
		digits = 0
	}
	return fmt.Sprintf("%.*f%s", digits, scaled, suffix)
}
