package forms_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/perplexity/forms"
)

// Lists of millions of things that are no turns, and fields of millions of texts beside as many turns, take neither memory nor time to speak of.
func TestLongLists(t *testing.T) {
	zeros := "[" + strings.Repeat("0,", 3<<19) + "0]"
	turns := strings.Repeat(`{"role":"u","content":"`+strings.Repeat("b", 30)+`"},`, 10000)
	var parts strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&parts, `"%030d",`, i)
	}
	for name, tt := range map[string]struct{ record, want string }{
		"turns":        {`{"messages":` + zeros + `}`, `turn 1: it must be an object`},
		"parts":        {`{"messages":[{"role":"user","content":` + zeros + `}]}`, `has a part that is a number`},
		"history":      {`{"instruction":"a","output":"b","history":` + zeros + `}`, `history 1 is no pair`},
		"numbers":      {`{"text":"a","x":` + zeros + `}`, ""},
		"the same":     {`{"messages":[` + turns + `{"role":"u","content":"c"}],"x":[` + strings.Repeat(`"c",`, 20000) + `"c"]}`, ""},
		"within":       {`{"messages":[` + turns + `{"role":"u","content":"c"}],"x":["` + strings.Repeat("b", 25) + `",{"b":[" c "]}]}`, ""},
		"within often": {`{"text":"` + strings.NewReplacer(`"`, "", ",", " ").Replace(parts.String()) + `","x":[` + parts.String() + `""]}`, `"x" holds text`},
		"a name":       {`{"text":"a","x":{"b":[{"c\"" : {}}],"d":"a"}}`, ""},
		"not a name":   {`{"text":"a","x":{"b":[{"c":{}}],"d":"e"}}`, `"x" holds text`},
	} {
		fuzztest.Bounded(t, len(tt.record), func() {
			docs, _, err := forms.Read("x.json", []byte(tt.record), "")
			if tt.want == "" && (err != nil || len(docs) != 1) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: %d documents, %v, want %q", name, len(docs), err, tt.want)
			}
		})
	}
}

// FuzzForms reads any bytes as records of each form. Conversations and instructions that were read are the same when their turns are
// written as "messages".
func FuzzForms(f *testing.F) {
	for _, record := range []string{
		`{"text": "A text.", "meta": {"set": "web"}}`,
		`{"instruction": "Add.", "input": "1 2", "output": "3", "history": [["a","b"]], "system": "s"}`,
		`{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": [{"type":"text","text":"b"}]}], "system": "s"}`,
		`{"messages": [{"role": "USER ", "content": "a"}, {"user": "b", "assistant": "c"}], "text": "USER: a"}`,
		`{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}`,
		`{"question": "a", "answer": "b", "category": "c"}`,
		`{"chosen": [], "rejected": []}`,
		`{"messages": [null, [], 7, ""]}`, `{"messages": [{"role": null, "content": "a"}]}`, `{"history": [[]], "instruction": "a", "output": ""}`,
		`{"text": "a", "Text": "b"}`, `[{"text": "a"}, null, {}]`, `null`, `{"text": NaN}`, `{"messages": [{"role": "\u0130", "content": "\ud800"}]}`,
		`{"messages":[` + strings.Repeat(`{"role":"u","content":"a"},`, 100) + `{"role":"u","content":"b"}],"x":[` + strings.Repeat(`"b",`, 100) + `"b"]}`,
		strings.Repeat(`{"a":`, 11000),
	} {
		f.Add([]byte(record), "")
		f.Add([]byte("[\n"+record+",\n"+record+"]"), string(forms.ShareGPT))
		f.Add([]byte(record+"\n"+record), string(forms.Alpaca))
	}
	f.Fuzz(func(t *testing.T, data []byte, as string) {
		fuzztest.Bounded(t, len(data), func() {
			forms.Detect("x.json", data)
			docs, turns, err := forms.Read("x.json", data, forms.Form(as))
			if err != nil {
				fuzztest.OneLine(t, err, 6*len(data))
				return
			}
			if turns != nil && len(turns) != len(docs) {
				t.Fatalf("%d documents, %d of turns", len(docs), len(turns))
			}
			for i, doc := range docs {
				if strings.TrimSpace(doc) == "" {
					t.Errorf("document %d is blank", i)
				}
				if turns == nil || turns[i] == nil {
					continue
				}
				var record struct {
					Messages []map[string]string `json:"messages"`
				}
				for _, m := range turns[i] {
					record.Messages = append(record.Messages, map[string]string{"role": m.Role, "content": m.Content})
				}
				text, err := json.Marshal(record)
				if err != nil {
					t.Fatal(err)
				}
				_, again, err := forms.Read("x.json", text, forms.ShareGPT)
				if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], turns[i]) {
					t.Errorf("%v became %v, %v", turns[i], again, err)
				}
			}
		})
	})
}
