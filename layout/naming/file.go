package naming

import (
	"cmp"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// DefaultName is the name for a file after the GGUF naming convention,
//
//	<BaseName>-<SizeLabel>-<FineTune>-<Version>-<Encoding>.gguf
//
// e.g. Llama-3.2-2.6B-Instruct-pruned-v1.0-Q8_0.gguf. kvs is the file's metadata, and f the source, which tells the base name where
// kvs has none: known is the name under which a program keeps the model, or empty, and then the source's file name is used. encoding is
// Encoding(f), or what the file will be quantised to.
func DefaultName(f *gguf.File, kvs []gguf.KV, known, encoding string) string {
	meta := metadata.List{KVs: kvs}
	base := meta.Str("general.basename")
	if base == "" {
		base = baseOf(f, cmp.Or(meta.Str("general.base_model.0.name"), known))
	}
	version := cmp.Or(meta.Str("general.version"), "v1.0")
	if !strings.HasPrefix(strings.ToLower(version), "v") {
		version = "v" + version
	}
	parts := []string{base, meta.Str("general.size_label"), meta.Str("general.finetune"), version, encoding}
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
