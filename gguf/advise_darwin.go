package gguf

import "os"

// willRead does nothing: macOS reads ahead by itself.
func willRead(*os.File) {}
