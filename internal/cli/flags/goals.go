package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/search"
)

// goalFlags say how much to remove. Each may come several times, in the order of the command line; commands that make one model
// take one.
type goalFlags struct{ given []givenGoal }

// givenGoal is a flag as the user wrote it.
type givenGoal struct{ name, value string }

const goalUsage = `
How much to remove, exactly one of:
      --ratio R            this part of the whole model's parameters, such as 0.2
      --blocks N           this number of blocks
      --target-size SIZE   until the file has at most this size: 3.2GiB, 800MB (KiB, MiB, GiB, kB, MB, GB)
      --target-speedup X   until it should generate X times as fast, by the blocks' times on this machine: 1.3
      --max-ppl-ratio X    as much as goes with a perplexity of at most X times the whole model's: 1.15
      --max-kld X          as much as goes with a mean KL divergence of at most X nats from the whole model: 0.1
`

// goalNames lists the flags.
var goalNames = []string{"ratio", "blocks", "target-size", "target-speedup", "max-ppl-ratio", "max-kld"}

func (g *goalFlags) add(fs *pflag.FlagSet) {
	for _, name := range goalNames {
		fs.Var(&goalValue{g, name}, name, "")
	}
}

// goalValue is one of the flags for pflag. What is wrong with a value is said later, in words that fit the flag.
type goalValue struct {
	g    *goalFlags
	name string
}

func (v *goalValue) Set(s string) error {
	v.g.given = append(v.g.given, givenGoal{v.name, s})
	return nil
}
func (v *goalValue) String() string { return "" }
func (v *goalValue) Type() string   { return "string" }

// goal returns the one goal that is given.
func (g *goalFlags) goal() (search.Goal, error) {
	switch len(g.given) {
	case 0:
		return search.Goal{}, usagef("nothing says how much to remove; give --ratio 0.2, --blocks 8 or --target-size 3.2GiB")
	case 1:
		return g.given[0].goal()
	}
	var names []string
	for _, f := range g.given {
		names = append(names, "--"+f.name)
	}
	return search.Goal{}, usagef("%s exclude each other; give one of them", strings.Join(names, " and "))
}

// goals returns all that are given.
func (g *goalFlags) goals() ([]search.Goal, error) {
	var out []search.Goal
	for _, f := range g.given {
		goal, err := f.goal()
		if err != nil {
			return nil, err
		}
		out = append(out, goal)
	}
	return out, nil
}

func (f givenGoal) goal() (search.Goal, error) {
	x, err := strconv.ParseFloat(f.value, 64)
	wrong := func(ok bool, want string) error {
		if err == nil && ok {
			return nil
		}
		return usagef("--%s is %s; give %s", f.name, f.value, want)
	}
	switch f.name {
	case "ratio":
		return search.Goal{Ratio: x}, wrong(x > 0 && x < 1, "a number between 0 and 1, such as 0.2")
	case "blocks":
		var n int
		n, err = strconv.Atoi(f.value)
		return search.Goal{Blocks: n}, wrong(n >= 1, "a number, 1 or more")
	case "target-speedup":
		return search.Goal{Speedup: x}, wrong(x > 1 && x < 1e6, "a factor above 1, such as 1.3")
	case "max-ppl-ratio":
		return search.Goal{MaxPPLRatio: x}, wrong(x > 1 && x < 1e6, "a factor above 1, such as 1.15")
	case "max-kld":
		return search.Goal{MaxKLD: x}, wrong(x > 0 && x < 1e6, "a number of nats above 0, such as 0.1")
	default:
		size, err := parseSize(f.value)
		if err != nil {
			return search.Goal{}, usagef("--target-size: %v", err)
		}
		return search.Goal{Size: size}, nil
	}
}
