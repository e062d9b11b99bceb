package jsonnum

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// A finite number is written as a float64 is, and comes back as it was. All others are null, and come back as +Inf.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	type plain struct {
		X float64
		Y []float64
	}
	type ours struct {
		X Float
		Y []*Float
	}
	rapid.Check(t, func(t *rapid.T) {
		x := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		got, err := json.Marshal(ours{Float(x), []*Float{Ptr(x)}})
		if err != nil {
			t.Fatal(err)
		}
		var back ours
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if !Finite(x) {
			if string(got) != `{"X":null,"Y":[null]}` || !math.IsInf(float64(back.X), 1) || !math.IsInf(back.Y[0].Value(), 1) || Known(x) != nil {
				t.Fatalf("%v: %s, %v", x, got, back)
			}
			return
		}
		want, _ := json.Marshal(plain{x, []float64{x}})
		if string(got) != string(want) || float64(back.X) != x || back.Y[0].Value() != x || *Known(x) != x {
			t.Fatalf("%v: %s in place of %s, read as %v", x, got, want, back)
		}
	})
}

func TestWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`"7"`, `1e999`, `{}`, `true`} {
		var f struct{ X Float }
		var typ *json.UnmarshalTypeError
		if err := json.Unmarshal([]byte(`{"X":`+bad+`}`), &f); err == nil {
			t.Errorf("%s is %v", bad, f.X)
		} else if typ, _ = err.(*json.UnmarshalTypeError); typ == nil || typ.Field != "X" {
			t.Errorf("%s: %v, which does not name the field", bad, err)
		}
	}
}
