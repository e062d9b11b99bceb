package find

import (
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/search/plan"
)

// The user is told of what the fit spoils: first of text that it has not seen.
func TestSpoilt(t *testing.T) {
	t.Parallel()
	kind := func(name string, ratio float64, unseen bool) plan.Kind {
		return plan.Kind{Name: name, Before: 10, After: 10 * ratio, Unseen: unseen}
	}
	for _, c := range []struct {
		kinds []plan.Kind
		want  string
	}{
		{nil, ""},
		{[]plan.Kind{kind("mine", 1.3, false)}, ""},
		{[]plan.Kind{kind("a", 1.2, false), kind("b", 1.6, false)}, "b loses much more (perplexity x1.60) than a (x1.20)"},
		{[]plan.Kind{kind("mine", 1.2, false), kind("code", 2.9, true), kind("lists", 1.3, true)}, "code, which the fit has not seen, loses much more (perplexity x2.90) than mine (x1.20)"},
		{[]plan.Kind{kind("mine", 1.2, false), kind("code", 1.3, true)}, ""},
		{[]plan.Kind{kind("mine", 1.2, false), {Name: "tongues", Before: 5000, After: 50000, Unseen: true}}, ""}, // not the model's language
	} {
		got := spoilt(c.kinds)
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %q, want %q", c.kinds, got, c.want)
		}
	}
}
