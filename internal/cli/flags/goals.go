package flags

import (
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/search"
)

// Goals says how much to remove. Each flag may come several times, in the order of the command line.
type Goals struct {
	OfPlan bool // of a plan: none, or one for each file to write; else one is wanted

	given []givenGoal
}

// givenGoal is a flag as the user wrote it.
type givenGoal struct{ name, value string }

// AddFlags adds the flags.
func (g *Goals) AddFlags(fs *pflag.FlagSet) {
	heading, usages := "How much to remove, exactly one of", searchGoals
	if g.OfPlan {
		heading, usages = "How much of a plan to remove, each of which may be given several times (default: all)", planGoals
	}
	Section(fs, heading, func(fs *pflag.FlagSet) {
		for _, u := range usages {
			fs.Var(&goalValue{g, u[0]}, u[0], u[1])
		}
	})
}

var searchGoals = [][2]string{
	{"ratio", "`R` this part of the whole model's parameters, such as 0.2"},
	{"blocks", "`N` this number of blocks"},
	{"target-size", "`SIZE` until the file has at most this size: 3.2GiB, 800MB (KiB, MiB, GiB, kB, MB, GB)"},
	{"target-speedup", "`X` until it should generate X times as fast, by the blocks' times on this machine: 1.3"},
	{"max-ppl-ratio", "`X` as much as goes with a perplexity of at most X times the whole model's: 1.15"},
	{"max-kld", "`X` as much as goes with a mean KL divergence of at most X nats from the whole model: 0.1"},
}

var planGoals = [][2]string{
	{"ratio", "`R` this part of the whole model's parameters, such as 0.2"},
	{"blocks", "`N` this number of blocks"},
	{"target-size", "`SIZE` until the file has at most this size: 3.2GiB, 800MB (KiB, MiB, GiB, kB, MB, GB)"},
	{"target-speedup", "`X` until it should be X times as fast, by the times in the plan"},
	{"max-ppl-ratio", "`X` the steps before the first with more than X times the whole model's perplexity, of a plan by perplexity"},
	{"max-kld", "`X` the steps before the first with more than this KL divergence, of a plan by divergence"},
}

// Given returns the names of the flags that were given.
func (g *Goals) Given() []string {
	var names []string
	for _, f := range g.given {
		names = append(names, f.name)
	}
	return names
}

// goalValue is one of the flags for pflag. What is wrong with a value is said later, in words that fit the flag.
type goalValue struct {
	goals *Goals
	name  string
}

func (v *goalValue) Set(s string) error {
	v.goals.given = append(v.goals.given, givenGoal{v.name, s})
	return nil
}
func (v *goalValue) String() string { return "" }
func (v *goalValue) Type() string   { return "string" }

// Resolve returns the goals: exactly one, or of a plan as many as were given.
func (g *Goals) Resolve() ([]search.Goal, error) {
	if !g.OfPlan {
		switch len(g.given) {
		case 0:
			return nil, Errorf("nothing says how much to remove; give --ratio 0.2, --blocks 8 or --target-size 3.2GiB")
		case 1:
		default:
			return nil, Errorf("--%s exclude each other; give one of them", strings.Join(g.Given(), " and --"))
		}
	}
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
		return Errorf("--%s is %s; give %s", f.name, f.value, want)
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
			return search.Goal{}, Errorf("--target-size: %v", err)
		}
		return search.Goal{Size: size}, nil
	}
}

// units are the suffixes that parseSize accepts, in bytes: powers of 1024 with an i, of 1000 without.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"b", 1},
}

// parseSize reads a file size such as "3.2GiB", "800 MB" or "1000000" (bytes) and returns bytes. The unit's case does
// not matter. A bare "3.2G" is refused: it means GiB to some tools and GB to others.
func parseSize(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	scale := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, scale = strings.TrimSpace(number), u.bytes
			break
		}
	}
	// ParseFloat also reads hexadecimal, infinities and NaN, none of which is a size.
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xnp_") || math.IsInf(v, 0) {
		return 0, Errorf("size %q is not a number with a unit; write for example 3.2GiB or 800MB", s)
	}
	v = math.Round(v * scale)
	if v < 1 || v > math.MaxInt64/2 {
		return 0, Errorf("size %q is out of range; write for example 3.2GiB or 800MB", s)
	}
	return int64(v), nil
}
