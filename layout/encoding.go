package layout

import "github.com/ggufprune/ggufprune/gguf"

// Encoding names the file's quantisation as the GGUF naming convention does: Q4_K_M, F16. It is the file type that the metadata gives, or
// else the tensor type with the most bytes.
func Encoding(f *gguf.File) string { return encoding(f) }
