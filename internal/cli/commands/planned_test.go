package commands

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/repair"
)

// The command that goes on from a plan has what prune was asked and apply takes, and the repair as the job had it.
func TestApplyCommand(t *testing.T) {
	t.Parallel()
	whole := repair.Options{Method: fit.Auto, Tokens: repair.DefaultTokens}
	const model = "../../../testdata/tiny-11m-Q8_0.gguf"
	for _, c := range []struct {
		args []string
		r    repair.Options
		want string
	}{
		{
			[]string{"-m", model, "--blocks", "2", "-f", "a b.txt", "-c", "64", "-s", "3", "--plan", "p.json", "-o", "out.gguf", "--force", "--time", "5m", "--no-compare"},
			repair.Options{Method: fit.Auto, Tokens: 4096},
			"ggufprune apply -m " + model + " -f 'a b.txt' -c 64 -s 3 --plan p.json -o out.gguf --force --repair-tokens 4096",
		},
		{
			[]string{"-m", model, "--ratio", "0.2", "--kind", "mix", "--plan", "p.json", "--calib", "self", "--temp", "0.5", "--repair-text", "a", "--repair-text", "b", "--repair-tokens", "81920"},
			whole, "ggufprune apply -m " + model + " --plan p.json --repair-text a --repair-text b",
		},
		{
			[]string{"-m", model, "--ratio", "0.2", "--plan", "p.json", "--repair-type", "F16", "--quantize", "Q4_0", "-q"},
			repair.Options{},
			"ggufprune apply -m " + model + " --plan p.json --quantize Q4_0 -q --repair off",
		},
	} {
		o := pruneOptions{searchFlags: newSearchFlags(enginetest.Runtime{}), repair: flags.Repair{Method: flags.DefaultRepair}, quantize: flags.Quantize{Engine: enginetest.Runtime{}, Last: true}}
		fs := pflag.NewFlagSet("prune", pflag.ContinueOnError)
		fs.SortFlags = false
		o.addFlags(fs)
		new(flags.Common).AddFlags(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if _, err := o.calibration.Resolve(&o.text); err != nil {
			t.Fatal(err)
		}
		if got := o.applyCommand(fs, c.r); got != c.want {
			t.Errorf("%v:\n%s\nwant\n%s", c.args, got, c.want)
		}
	}
}
