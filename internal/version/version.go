// Package version names this program and the llama.cpp in it.
package version

import (
	"runtime/debug"

	"github.com/ggufprune/ggufprune/llamabind"
)

// release is set by the linker in a release: -X github.com/ggufprune/ggufprune/internal/version.release=v1.2.3
var release string

// Tool returns this program's name and version: the release's, else the module's or the commit's it was built from, else "devel".
func Tool() string {
	if release != "" {
		return "ggufprune " + release
	}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "ggufprune " + info.Main.Version
	}
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "ggufprune devel-" + s.Value[:12]
			}
		}
	}
	return "ggufprune devel"
}

// Llama returns the version of the llama.cpp that is linked in.
func Llama() string { return llamabind.LlamaTag }
