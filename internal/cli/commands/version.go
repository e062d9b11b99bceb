package commands

import (
	"github.com/spf13/cobra"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// NewVersionCmd returns "ggufprune version".
func NewVersionCmd(e engine.Runtime) *cobra.Command {
	return Define(e, &cobra.Command{
		Use:     "version [--json]",
		Short:   "version of this program and of its llama.cpp",
		Long:    "Prints the versions of this program and of the llama.cpp in it, and the devices that llama.cpp finds.",
		Example: "  ggufprune version\n  ggufprune version --json",
	}, nil, func(_ *cobra.Command, _ []string, u *ui.UI) error { return render.Version(u, e.Version(), e.Devices()) })
}
