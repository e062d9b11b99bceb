package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
)

// evil is the text of a good plan with one thing replaced.
func evil(t testing.TB, old, new string) string {
	t.Helper()
	data, err := sample(t, blockmask.Mix, 2).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("no %s in\n%s", old, data)
	}
	return strings.Replace(string(data), old, new, 1)
}

func TestEvilPlans(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Mix, 2)
	first, second := p.Steps[0].Removed.String(), p.Steps[1].Removed.String()
	removed := func(m string) string { return fmt.Sprintf("%q: %q", "removed", m) }
	params := func(i int) string { return fmt.Sprintf(`"params_removed": %d`, p.Steps[i].ParamsRemoved) }
	bomb := strings.TrimSuffix(strings.Repeat(`{"block": "attn:0-65535", "score": 1},`, 1000), ",")
	for _, tt := range []struct{ name, old, new, want string }{
		{"version 3", `"version": 1`, `"version": 3`, "version 3, this program reads 1 and 2"},
		{"no version", `"version": 1,`, ``, "version 0"},
		{"another file", "ggufprune-plan", "cookbook", `"format" is "cookbook"`},
		{"unknown field", `"metric"`, `"surprise": 1, "metric"`, "surprise"},
		{"trailing text", "\n}\n", "\n}\n{}", "line"},
		{"cut", "\n}\n", "\n", "unexpected end"},
		{"wrong type", `"metric": "ppl"`, `"metric": 7`, `"metric" must not be a number`},
		{"no metric", `"metric": "ppl"`, `"metric": ""`, "metric is missing"},
		{"bad SHA", someSHA, "xyz", "no SHA-256"},
		{"upper case SHA", someSHA, strings.ToUpper(someSHA), "no SHA-256"},
		{"bad kind", `"kind": "mix"`, `"kind": "heads"`, "settings.kind"},
		{"no blocks", `"attn:0-3,ffn:0-3"`, `""`, "no model is like that"},
		{"too many blocks", `"attn:0-3,ffn:0-3"`, `"attn:0-65535"`, "no model is like that"},
		{"bad blocks", `"attn:0-3,ffn:0-3"`, `"attn"`, "attn:3,ffn:7-9"},
		{"other metric", `"metric": "ppl"`, `"metric": "x"`, `metric "x" is unknown`},
		{"base below 1", fmt.Sprintf(`"base_score": %v`, p.Base), `"base_score": -5`, "base_score -5 is no perplexity"},
		{"score below 1", fmt.Sprintf(`"score": %v,`, p.Steps[0].Score), `"score": 1e-320,`, "is no perplexity"},
		{"no base", `"base_score":`, `"base_score": null, "tool":`, "must not be a number"},
		{"null base", fmt.Sprintf(`"base_score": %v`, p.Base), `"base_score": null`, "base_score is missing"},
		{"no score", fmt.Sprintf(`"score": %v,`, p.Steps[0].Score), ``, "score is missing"},
		{"huge score", fmt.Sprintf(`"base_score": %v`, p.Base), `"base_score": 1e999`, "must not be a number"},
		{"index", `"index": 2`, `"index": 3`, "step 2: index is 3"},
		{"nothing removed", removed(first), removed(""), "step 1: removed: a mask is empty"},
		{"block that is not there", removed(first), removed("ffn:4"), "no block ffn:4"},
		{"removed twice", removed(second), removed(first), "step 2: removed: block " + first + " was removed before"},
		{"bad mask", removed(first), removed("ffn:x"), `step 1: bad mask item`},
		{"range bomb", removed(first), removed("attn:0-65535"), "more blocks than the model has"},
		{"mask bomb", `"candidates": [`, `"candidates": [` + bomb + ",", "more blocks than the model has"},
		{"candidate twice removed", `{"block": "ffn:0"`, `{"block": ""`, "candidates: a mask is empty"},
		{"params 0", params(0), `"params_removed": 0`, "params_removed"},
		{"params backwards", params(1), `"params_removed": -4`, "must not be a number"},
		{"ratio", `"params_removed_ratio": 0.`, `"params_removed_ratio": 1.`, "params_removed_ratio"},
		{"size", fmt.Sprintf(`"size_bytes": %d,`, p.Steps[0].Size), `"size_bytes": -1,`, "step 1: size_bytes is -1"},
		{"model params", `"params": 2600`, `"params": 0`, "model.params is missing"},
		{"steps null entry", `"steps": [`, `"steps": [null,`, "step 1: index is 0"},
	} {
		_, err := Decode([]byte(evil(t, tt.old, tt.new)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	for _, text := range []string{"", "null", "[]", "7", `"x"`, "{}", "GGUF\x03\x00", strings.Repeat("[", 100000)} {
		if _, err := Decode([]byte(text)); err == nil {
			t.Errorf("%.20q is a plan", text)
		}
	}
}
