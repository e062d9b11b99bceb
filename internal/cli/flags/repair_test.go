package flags

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/find"
)

// The one constant decides, and USAGE.md says what it is.
func TestRepairDefault(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/USAGE.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `--repair ") {
			if !strings.Contains(line, "(default: "+string(DefaultRepair)+")") {
				t.Errorf("USAGE.md has another default than %s: %s", DefaultRepair, line)
			}
			return
		}
	}
	t.Error("USAGE.md has no row for --repair")
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
		if out, err := r.Resolve(find.Method{Strategy: "aware"}, ""); err != nil || out.Usual {
			t.Errorf("%v: aware goes without a repair: %v", c.args, err)
		}
		if out, err := r.Resolve(find.Method{}, ""); err != nil || out.Usual != c.usual {
			t.Errorf("%v: %+v, %v", c.args, out, err)
		}
	}
}

// What says how to repair is not ignored where nothing is repaired.
func TestRepairOff(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--repair-text=a.txt", "--repair-tokens=9000", "--repair-type=F16", ""} {
		r := Repair{Method: fit.Auto}
		fs := pflag.NewFlagSet("prune", pflag.ContinueOnError)
		r.AddFlags(fs)
		args := []string{"--repair", "off"}
		if flag != "" {
			args = append(args, flag)
		}
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(flag, "=")
		if out, err := r.Resolve(find.Method{}, ""); out.Wanted() || (err == nil) != (flag == "") || err != nil && !strings.HasPrefix(err.Error(), name+" does not go with --repair off") {
			t.Errorf("%q: %+v, %v", flag, out, err)
		}
	}
}
