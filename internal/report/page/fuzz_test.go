package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/search/plan"
)

// FuzzPage makes the page, the card and the charts of any plan that can be read, and of a file with any metadata. Nothing of either gets
// into the page as HTML.
func FuzzPage(f *testing.F) {
	in := exampleInput()
	text, err := in.Plan.Encode()
	if err != nil {
		f.Fatal(err)
	}
	meta := func(m Meta) string {
		data, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return string(data)
	}
	f.Add(text, 2, meta(in.Source.Meta))
	f.Add(text, 0, meta(Meta{Name: hostile, License: hostile, Repository: hostile, Tags: []string{hostile}, Languages: []string{hostile}}))
	f.Add(bytes.ReplaceAll(text, []byte(`"size_bytes"`), []byte(`"cost"`)), 3, `{}`)
	f.Add(bytes.ReplaceAll(text, []byte(`"metric": "ppl"`), []byte(`"metric": "kld"`)), 3, `{}`)
	if narrow, err := narrowInput(f).Plan.Encode(); err == nil {
		f.Add(narrow, 1, `{}`)
	}
	f.Fuzz(func(t *testing.T, text []byte, steps int, metadata string) {
		fuzztest.Bounded(t, 4<<10+len(text)+len(metadata), func() {
			p, err := plan.Decode(text)
			if err != nil {
				return
			}
			in := exampleInput()
			in.Plan, in.Steps = p, max(0, min(steps, len(p.Steps)))
			in.Source.Meta = Meta{}
			if json.Unmarshal([]byte(metadata), &in.Source.Meta) != nil {
				return
			}
			if steps%2 == 0 {
				in.Pruned = nil
			} else {
				in.Pruned.Meta = in.Source.Meta
			}
			html, err := HTML(in)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"<img", "onerror=alert(2)>", "<script>alert"} {
				if strings.Contains(string(html), bad) {
					t.Errorf("the page has %s", bad)
				}
			}
			if _, err := Card(in); err != nil {
				t.Error(err)
			}
			if steps != 0 {
				return // pictures take longer than all else
			}
			if _, err := Charts(in); err != nil {
				t.Error(err)
			}
		})
	})
}
