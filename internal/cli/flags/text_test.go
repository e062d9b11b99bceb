package flags

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/perplexity"
)

// No seed is not one: 0 would be the same as none.
func TestSeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want uint64
		ok   bool
	}{{nil, 0, true}, {[]string{"-s", "1"}, 1, true}, {[]string{"-s", "0"}, 0, false}, {[]string{"-s", "-1"}, 0, false}} {
		text := Text{Convention: perplexity.Samples}
		fs := pflag.NewFlagSet("search", pflag.ContinueOnError)
		text.AddFlags(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if out, err := text.Resolve(); (err == nil) != c.ok || c.ok && out.Seed != c.want {
			t.Errorf("%v: seed %d, %v", c.args, out.Seed, err)
		}
	}
}
