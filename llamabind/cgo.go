package llamabind

// Flags for the shim. Where llama.cpp's headers and libraries are is in link_generated.go, written by scripts/build-llama.sh.

/*
#cgo CXXFLAGS: -std=c++17 -Wall -Wextra
*/
import "C"
