package flags

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/pipeline"
)

// The one constant decides, and the README says what it is.
func TestRepairDefault(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `--repair ") {
			if !strings.Contains(line, "(default: "+string(DefaultRepair)+")") {
				t.Errorf("README.md has another default than %s: %s", DefaultRepair, line)
			}
			return
		}
	}
	t.Error("README.md has no row for --repair")
}

// A repair that was not asked for must not spoil the run; one that was fails it.
func TestUsualRepair(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		usual bool
	}{{nil, true}, {[]string{"--repair", "auto"}, false}, {[]string{"--repair-tokens", "9000"}, false}} {
		r := Repair{Method: fit.Auto}
		fs := pflag.NewFlagSet("prune", pflag.ContinueOnError)
		r.AddFlags(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if out, err := r.Resolve(pipeline.Method{Strategy: "aware"}, ""); err != nil || out.Usual {
			t.Errorf("%v: aware goes without a repair: %v", c.args, err)
		}
		if out, err := r.Resolve(pipeline.Method{}, ""); err != nil || out.Usual != c.usual {
			t.Errorf("%v: %+v, %v", c.args, out, err)
		}
	}
}
