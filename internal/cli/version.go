package cli

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/llamabind"
)

// version is set by the linker in a release: -X github.com/ggufprune/ggufprune/internal/cli.version=v1.2.3
var version string

// Version returns this program's version: the release's, else the module's or the commit's it was built from, else "devel".
func Version() string {
	if version != "" {
		return "ggufprune " + version
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

const versionUsage = `Usage: ggufprune version [--json]

Prints the versions of this program and of the llama.cpp in it, and the devices that llama.cpp finds.

Examples:
  ggufprune version
  ggufprune version --json
` + commonUsage

// versionCommand is "ggufprune version".
type versionCommand struct{}

func (*versionCommand) usage() string { return versionUsage }

func (*versionCommand) flags(*pflag.FlagSet) {}

func (*versionCommand) run(_ context.Context, _ *pflag.FlagSet, u *ui.UI) error {
	v := versionJSON{Tool: Version(), LlamaCpp: llamaVersion(), LlamaTree: llamabind.LlamaTree, Go: runtime.Version(), Devices: []deviceJSON{}}
	u.Resultf("%s\nllama.cpp %s, tree %s\n%s %s/%s", v.Tool, v.LlamaCpp, v.LlamaTree, v.Go, runtime.GOOS, runtime.GOARCH)
	for _, d := range llamabind.Devices() {
		v.Devices = append(v.Devices, deviceJSON{d.Name, d.Description, d.Type, d.Free, d.Total})
		u.Resultf("device %s: %s", d.Name, d.Description)
	}
	return u.JSON(v)
}

func llamaVersion() string { return llamabind.LlamaTag }
