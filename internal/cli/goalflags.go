package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/search"
)

// goalFlags say how much to remove.
type goalFlags struct {
	ratio  float64
	blocks int
	size   string
}

const goalUsage = `
How much to remove, exactly one of:
      --ratio R            this part of the whole model's parameters, such as 0.2
      --blocks N           this number of blocks
      --target-size SIZE   until the file has at most this size: 3.2GiB, 800MB (KiB, MiB, GiB, kB, MB, GB)
`

func (g *goalFlags) add(fs *pflag.FlagSet) {
	fs.Float64Var(&g.ratio, "ratio", 0, "")
	fs.IntVar(&g.blocks, "blocks", 0, "")
	fs.StringVar(&g.size, "target-size", "", "")
}

// given lists which of the flags are on the command line.
func (g *goalFlags) given(fs *pflag.FlagSet) []string {
	var names []string
	for _, name := range []string{"ratio", "blocks", "target-size"} {
		if fs.Changed(name) {
			names = append(names, "--"+name)
		}
	}
	return names
}

// goal returns the one goal that is given.
func (g *goalFlags) goal(fs *pflag.FlagSet) (search.Goal, error) {
	names := g.given(fs)
	switch {
	case len(names) == 0:
		return search.Goal{}, usagef("nothing says how much to remove; give --ratio 0.2, --blocks 8 or --target-size 3.2GiB")
	case len(names) > 1:
		return search.Goal{}, usagef("%s exclude each other; give one of them", strings.Join(names, " and "))
	case names[0] == "--ratio" && !(g.ratio > 0 && g.ratio < 1):
		return search.Goal{}, usagef("--ratio is %v; give a number between 0 and 1, such as 0.2", g.ratio)
	case names[0] == "--blocks" && g.blocks < 1:
		return search.Goal{}, usagef("--blocks is %d; give 1 or more", g.blocks)
	case names[0] == "--target-size":
		size, err := parseSize(g.size)
		if err != nil {
			return search.Goal{}, usagef("--target-size: %v", err)
		}
		return search.Goal{Size: size}, nil
	default:
		return search.Goal{Ratio: g.ratio, Blocks: g.blocks}, nil
	}
}
