package blockmask

import (
	"strings"
	"testing"
)

// FuzzIndices reads any text as a set of channels. What is one is the same when it is written and read again.
func FuzzIndices(f *testing.F) {
	for _, s := range []string{"", "0-511,600-1111", "3,4,5", "1048575", "1048576", "5-3", "4,4", "+1", "0-1048575", "1,", "00007", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseIndices(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 400 {
				t.Errorf("%q: no fit line: %q", s, err)
			}
			return
		}
		if again, err := ParseIndices(x.String()); err != nil || again != x {
			t.Errorf("%q became %q, %v", s, x, err)
		}
		if x.Len() > MaxIndex+1 || x.Max() > MaxIndex || !x.Empty() && !x.Contains(x.Max()) || x.Intersect(x) != x {
			t.Errorf("%q has %d elements up to %d", s, x.Len(), x.Max())
		}
	})
}

// FuzzKey reads any text as the key of a mask, which a pruned file keeps. What is one has that key again, and any kind of unit's name is
// read or refused with one line.
func FuzzKey(f *testing.F) {
	for _, s := range []string{
		"attn:3,ffn:7-9", "MHA: 1", `{"text":"ffn:7=4","kept":[{"block":"ffn:7","channels":"0-3"}]}`, `{"text":"","kept":[]}`, `{"kept":null} x`, "{", "mix",
		`{"text":"ffn:7=2x3","kept":[{"block":"mlp: 7","channels":"0-2","experts":"0-1"}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := ParseUnit(s); err != nil && (strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 400) {
			t.Errorf("%q: no fit line: %q", s, err)
		}
		m, err := ParseKey(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q: more than a line: %q", s, err)
			}
			return
		}
		if again, err := ParseKey(m.Key()); err != nil || !again.Equal(m) || again.Key() != m.Key() {
			t.Errorf("%q has the key %q, which is %v, %v", s, m.Key(), again, err)
		}
	})
}
