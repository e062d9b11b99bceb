package gguf

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// anyString has what real vocabularies have: white space at the ends, zeros, bytes that are no UTF-8.
func anyString() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", " ", "\t\n", " a ", "\x00", "\xff\xfe", "\u00a0x\u3000"}))
}

// slice generates a slice that is never nil, as a decoded one is.
func slice[T any](g *rapid.Generator[T]) *rapid.Generator[any] {
	return rapid.Map(rapid.SliceOfN(g, 0, 9), func(v []T) any { return append([]T{}, v...) })
}

func box[T any](g *rapid.Generator[T]) *rapid.Generator[any] {
	return rapid.Map(g, func(v T) any { return v })
}

// anyValue generates a value of any type, single and in arrays.
func anyValue() *rapid.Generator[any] {
	return rapid.OneOf(
		box(rapid.Uint8()), box(rapid.Int8()), box(rapid.Uint16()), box(rapid.Int16()), box(rapid.Uint32()), box(rapid.Int32()),
		box(rapid.Uint64()), box(rapid.Int64()), box(rapid.Float32()), box(rapid.Float64()), box(rapid.Bool()), box(anyString()),
		slice(rapid.Uint8()), slice(rapid.Int8()), slice(rapid.Uint16()), slice(rapid.Int16()), slice(rapid.Uint32()), slice(rapid.Int32()),
		slice(rapid.Uint64()), slice(rapid.Int64()), slice(rapid.Float32()), slice(rapid.Float64()), slice(rapid.Bool()), slice(anyString()),
	)
}

func TestValueRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := anyValue().Draw(t, "value")
		kv, err := NewKV("key", v)
		if err != nil {
			t.Fatal(err)
		}
		if want := gguftest.Value(v); !bytes.Equal(kv.Raw, want) {
			t.Fatalf("%T: raw %x, want %x", v, kv.Raw, want)
		}
		got, err := kv.Value()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestValueOfGarbage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "raw")
		if len(raw) > 1 && rapid.Bool().Draw(t, "small type") { // otherwise hardly any type is known
			raw[0] %= 14
			for i := 1; i < min(len(raw), 4); i++ {
				raw[i] = 0
			}
		}
		v, err := KV{"key", raw}.Value()
		if err != nil {
			return
		}
		back, err := NewKV("key", v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.Value()
		if err != nil {
			t.Fatal(err)
		}
		// A true that is not 1 is the only value with two spellings; NaN differs from itself.
		if len(back.Raw) != len(raw) {
			t.Fatalf("%x became %x", raw, back.Raw)
		}
		if !cmp.Equal(v, again, cmp.Comparer(sameFloat[float64]), cmp.Comparer(sameFloat[float32])) {
			t.Fatalf("%v became %v", v, again)
		}
	})
}

func sameFloat[T float32 | float64](a, b T) bool { return a == b || a != a && b != b }

func TestNewKVRefusesOpenWidths(t *testing.T) {
	t.Parallel()
	for _, v := range []any{1, uint(1), []int{1}, nil, map[string]int{}, [][]int32{{1}}} {
		if _, err := NewKV("key", v); err == nil {
			t.Errorf("%T was taken", v)
		}
	}
}

func TestFloatBitsSurvive(t *testing.T) {
	t.Parallel()
	nan := math.Float32frombits(0x7fc12345)
	kv, err := NewKV("key", nan)
	if err != nil {
		t.Fatal(err)
	}
	v, err := kv.Value()
	if err != nil || math.Float32bits(v.(float32)) != 0x7fc12345 {
		t.Errorf("NaN became %v, %v", v, err)
	}
}

func TestQuoteIsShortAndOneLine(t *testing.T) {
	t.Parallel()
	if got := quote("a\nb"); got != `"a\nb"` {
		t.Error(got)
	}
	long := quote(string(bytes.Repeat([]byte("ä"), 60000)))
	if len(long) > 200 {
		t.Errorf("%d bytes", len(long))
	}
}
