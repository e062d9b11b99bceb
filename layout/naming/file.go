package naming

import (
	"cmp"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// DefaultName is the name for a file after the GGUF naming convention,
//
//	<BaseName>-<SizeLabel>-<FineTune>-<Version>-<Encoding>.gguf
//
// e.g. Llama-3.2-2.6B-Instruct-pruned-v1.0-Q8_0.gguf. kvs is the file's metadata, and f the source, which tells the base name where
// kvs has none that can be used: known is the name under which a program keeps the model, or empty, and then the source's file name is used. encoding is
// Encoding(f), or what the file will be quantised to.
func DefaultName(f *gguf.File, kvs []gguf.KV, known, encoding string) string {
	meta := metadata.List{KVs: kvs}
	version := cmp.Or(meta.Str("general.version"), "v1.0")
	if !strings.HasPrefix(strings.ToLower(version), "v") {
		version = "v" + version
	}
	// Metadata may hold anything: converted with "." as the folder, a model is called ".".
	base := firstName(maxBase, meta.Str("general.basename"), baseOf(meta.Str("general.base_model.0.name")), baseOf(known), baseOf(fileBase(f)), f.Arch(), "model")
	parts := []string{base}
	for _, p := range []string{meta.Str("general.size_label"), meta.Str("general.finetune"), version, encoding} {
		if p = fileName(p, maxPart); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "-") + ".gguf"
}

// What a file system takes as a name is 255 bytes, and others are made of this one by adding to it.
const maxBase, maxPart = 80, 32 // bytes

// notInFileNames is what a file name had better not contain.
var notInFileNames = regexp.MustCompile(`[^\p{L}\p{N}._+]+`)

// fileName is s as a part of a file name, of up to most bytes.
func fileName(s string, most int) string {
	s = strings.Trim(notInFileNames.ReplaceAllString(s, "-"), "-.")
	if len(s) > most {
		s = strings.TrimRight(strings.ToValidUTF8(s[:most], ""), "-.")
	}
	return s
}

// firstName returns the first of names of which a part of a file name is left that begins with a letter or a digit: a name
// that begins with a dash would be taken for a flag, and one that begins with a dot is hidden.
func firstName(most int, names ...string) string {
	for _, name := range names {
		name = strings.TrimLeftFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		if name = fileName(name, most); name != "" {
			return name
		}
	}
	return ""
}

// sizePart matches a size label, an encoding or a version in a file's name, with which the base name ends.
var sizePart = regexp.MustCompile(`(?i)^(\d+x)?\d+(\.\d+)?[kmbt]$|^(i?q\d.*|f16|f32|bf16|tq\d.*|mxfp4.*)$|^v\d+(\.\d+)*$`)

// blobName is how Ollama and the Hugging Face cache name files by their content.
var blobName = regexp.MustCompile(`^(sha256-)?[0-9a-f]{40,64}$`)

// fileBase is the name of f's file, or its architecture where the file is named by its content.
func fileBase(f *gguf.File) string {
	name := strings.TrimSuffix(filepath.Base(f.Paths()[0]), ".gguf")
	name = regexp.MustCompile(`-\d{5}-of-\d{5}$`).ReplaceAllString(name, "")
	if blobName.MatchString(name) {
		return f.Arch()
	}
	return name
}

// baseOf finds a base name in a model's or a file's: the words in front of the size. "" if there are none.
func baseOf(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' || r == '_' })
	for i, w := range words {
		if sizePart.MatchString(w) {
			words = words[:i]
			break
		}
	}
	return strings.Join(words, "-")
}
