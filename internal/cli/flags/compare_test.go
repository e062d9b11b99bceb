package flags

import (
	"testing"

	"github.com/spf13/pflag"
)

// Where no speed is measured, how much of it would be does not matter.
func TestNoSpeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		test bool
		ok   bool
	}{
		{nil, true, true},
		{[]string{"-n", "0"}, false, false},
		{[]string{"-n", "0", "--no-speed"}, false, true},
		{[]string{"--no-speed"}, false, true},
	} {
		var s Speed
		fs := pflag.NewFlagSet("compare", pflag.ContinueOnError)
		s.AddFlags(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if test, err := s.Resolve(); (test != nil) != c.test || (err == nil) != c.ok {
			t.Errorf("%v: %+v, %v", c.args, test, err)
		}
	}
}
