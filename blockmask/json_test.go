package blockmask

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestJSONRoundTripOfParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := genParts(6).Draw(t, "m")
		data, err := json.Marshal(struct{ M Mask }{m})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ M Mask }
		if err := json.Unmarshal(data, &got); err != nil || !got.M.Equal(m) {
			t.Fatalf("%s gave %v, %v", data, got.M, err)
		}
		if isText := strings.HasPrefix(string(data), `{"M":"`); isText != (m.WholeBlocks() == nil) {
			t.Fatalf("%v is %s", m, data)
		}
	})
}

func TestJSONForms(t *testing.T) {
	t.Parallel()
	m := New(Block{3, Mixer}).Union(Of(Cut{Block{7, FFN}, indices(t, "0-511,600-1111"), indices(t, "0-95")}))
	const want = `{"text":"attn:3,ffn:7=96x+1024","kept":[{"block":"ffn:7","channels":"0-511,600-1111","experts":"0-95"}]}`
	if data, err := json.Marshal(m); err != nil || string(data) != want {
		t.Errorf("%s, %v; want %s", data, err, want)
	}
	for in, want := range map[string]string{
		`""`: "", `"MHA:3, ffn:7-9"`: "attn:3,ffn:7-9", want: "attn:3,ffn:7=96x+1024", " \n" + want: "attn:3,ffn:7=96x+1024",
	} {
		var got Mask
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.String() != want {
			t.Errorf("%s gave %v, %v", in, got, err)
		}
	}
	before := New(Block{1, FFN})
	if err := json.Unmarshal([]byte("null"), &before); err != nil || !before.Has(Block{1, FFN}) {
		t.Errorf("null made it %v, %v", before, err)
	}
}

func TestHostileJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"ffn:7=1024"`:                "does not say which",
		`"attn:x"`:                    "no layer number",
		`{}`:                          `"kept" is empty`,
		`{"text":"attn:3","kept":[]}`: `"kept" is empty`,
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7"}]}`:                                                     "nothing is kept",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":""}]}`:                                       "nothing is kept",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"3,1"}]}`:                                    "must ascend",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"0-99999999999"}]}`:                          "is no index",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":[0,1,2,3]}]}`:                                "array",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"0-3","rows":1}]}`:                           "unknown field",
		`{"text":"ffn:7=5","kept":[{"block":"ffn:7","channels":"0-3"}]}`:                                    `its parts make it "ffn:7=4"`,
		`{"text":"ffn:7","kept":[{"block":"ffn:7","channels":"0-3"}]}`:                                      `its parts make it "ffn:7"`,
		`{"text":"attn:3","kept":[{"block":"ffn:7","channels":"0-3"}]}`:                                     `its parts make it "attn:3,ffn:7=4"`,
		`{"text":"ffn:7=4,ffn:8=4","kept":[{"block":"ffn:7","channels":"0-3"}]}`:                            "its parts make it",
		`{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"0-3"},{"block":"ffn:7","channels":"0-3"}]}`: "its parts make it",
		`{"text":"attn:7=4","kept":[{"block":"attn:7","channels":"0-3"}]}`:                                  "part of a mixer",
		`{"text":"ffn:7-8=4","kept":[{"block":"ffn:7-8","channels":"0-3"}]}`:                                "is not one block",
		`{"text":"ffn:7=4","kept":[{"block":"","channels":"0-3"}]}`:                                         "is not one block",
		`{"text":"ffn:65536=4","kept":[{"block":"ffn:65536","channels":"0-3"}]}`:                            "above 65535",
		`{"text":"conv:1,ffn:7=4","kept":[{"block":"ffn:7","channels":"0-3"}]}`:                             "unknown kind",
	} {
		before := New(Block{1, FFN})
		m := before
		if err := json.Unmarshal([]byte(in), &m); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
		if !m.Equal(before) {
			t.Errorf("%s changed the mask to %v", in, m)
		}
	}
	// The field is named, as for any other type.
	var plan struct {
		Blocks Mask `json:"blocks"`
	}
	var typ *json.UnmarshalTypeError
	if err := json.Unmarshal([]byte(`{"blocks": 7}`), &plan); !errors.As(err, &typ) || typ.Field != "blocks" || typ.Value != "number" {
		t.Errorf("a number: %v", err)
	}
}

func FuzzMaskJSON(f *testing.F) {
	for _, s := range []string{
		`"attn:3,ffn:7-9"`, `null`, `7`,
		`{"text":"attn:3,ffn:7=96x+1024","kept":[{"block":"ffn:7","channels":"0-511,600-1111","experts":"0-95"}]}`,
		`{"text":"ffn:7-8=4","kept":[{"block":"ffn:7","channels":"0-3"},{"block":"ffn:8","channels":"1-4"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Mask
		if json.Unmarshal(data, &m) != nil {
			return
		}
		if err := m.Check(blocksOf(m)); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Mask
		if err := json.Unmarshal(again, &back); err != nil || !back.Equal(m) {
			t.Errorf("%q became %s, which is %v, %v", data, again, back, err)
		}
	})
}

func blocksOf(m Mask) (blocks []Block) {
	for _, c := range m {
		blocks = append(blocks, c.Block)
	}
	return blocks
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	part := Of(Cut{Block: Block{7, FFN}, Channels: indices(t, "0-511,600-1111")}).With(Block{3, Mixer})
	for _, m := range []Mask{nil, New(Block{3, Mixer}, Block{4, Mixer}), part} {
		if got, err := ParseKey(m.Key()); err != nil || !got.Equal(m) {
			t.Errorf("%s: %v, %v", m.Key(), got, err)
		}
	}
	for _, s := range []string{"ffn:7=1024", "{", `"attn:3"`} {
		if m, err := ParseKey(s); err == nil {
			t.Errorf("%s: %v", s, m)
		}
	}
}
