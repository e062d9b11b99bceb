package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/pipeline"
)

// The one constant decides, and the usage texts and the README say what it is.
func TestRepairDefault(t *testing.T) {
	for name, c := range map[string]struct {
		c     command
		usual fit.Method
	}{"prune": {&pruneCommand{}, defaultRepair}, "apply": {&applyCommand{}, defaultRepair}, "repair": {&repairCommand{}, fit.Auto}} {
		fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
		c.c.flags(fs)
		if got := fs.Lookup("repair").DefValue; got != string(c.usual) || !strings.Contains(c.c.usage(), "or off (default: "+got+")") {
			t.Errorf("%s: the default is %q, the usage says another", name, got)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `--repair ") {
			if !strings.Contains(line, "(default: "+string(defaultRepair)+")") {
				t.Errorf("README.md has another default than %s: %s", defaultRepair, line)
			}
			return
		}
	}
	t.Error("README.md has no row for --repair")
}

// A repair that nobody asked for must not spoil the run; one that was asked for fails it.
func TestUsualRepair(t *testing.T) {
	for _, c := range []struct {
		args  []string
		usual bool
	}{{nil, true}, {[]string{"--repair", "auto"}, false}, {[]string{"--repair-tokens", "9000"}, false}} {
		var r repairFlags
		var j pipeline.Job
		fs := pflag.NewFlagSet("prune", pflag.ContinueOnError)
		r.add(fs, fit.Auto)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		aware := pipeline.Job{Method: pipeline.Method{Strategy: "aware"}}
		if err := r.fill(fs, &aware); err != nil || aware.Repair.Usual {
			t.Errorf("%v: aware goes without a repair: %v", c.args, err)
		}
		if err := r.fill(fs, &j); err != nil || j.Repair.Usual != c.usual {
			t.Errorf("%v: %+v, %v", c.args, j.Repair, err)
		}
	}
}
