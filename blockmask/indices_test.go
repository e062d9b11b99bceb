package blockmask

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func genIndices(n int) *rapid.Generator[Indices] {
	return rapid.Custom(func(t *rapid.T) Indices {
		x, err := NewIndices(rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 2*n).Draw(t, "indices"))
		if err != nil {
			t.Fatal(err)
		}
		return x
	})
}

func indices(t *testing.T, s string) Indices {
	t.Helper()
	x, err := ParseIndices(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Indices against Go maps.
func TestIndicesAreASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const n = 12
		listA := rapid.SliceOf(rapid.IntRange(0, n-1)).Draw(t, "a")
		listB := rapid.SliceOf(rapid.IntRange(0, n-1)).Draw(t, "b")
		set := map[int]bool{}
		for _, i := range listA {
			set[i] = true
		}
		a, errA := NewIndices(listA)
		b, errB := NewIndices(listB)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		want := slices.Sorted(maps.Keys(set))
		if got := slices.Collect(a.All()); !slices.Equal(got, want) || a.Len() != len(want) || a.Empty() != (len(want) == 0) {
			t.Fatalf("%v holds %v (%d)", listA, got, a.Len())
		}
		if most := -1; a.Max() != max(most, slices.Max(append(want, -1))) {
			t.Fatalf("max of %v is %d", want, a.Max())
		}
		both := a.Intersect(b)
		for i := -1; i <= n; i++ {
			if a.Contains(i) != set[i] || both.Contains(i) != (set[i] && slices.Contains(listB, i)) {
				t.Fatalf("%d: a=%v b=%v both=%v", i, a, b, both)
			}
		}
		if (a == b) != slices.Equal(slices.Collect(a.All()), slices.Collect(b.All())) {
			t.Fatalf("%v == %v is %v", a, b, a == b)
		}
		if again, err := ParseIndices(a.String()); err != nil || again != a {
			t.Fatalf("ParseIndices(%q) = %v, %v", a, again, err)
		}
	})
}

func TestIndicesText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                    "",
		"7":                   "7",
		"0-511,600-1111":      "0-511,600-1111",
		"0-1,2,4-5":           "0-2,4-5",
		"0-1048575":           "0-1048575",
		"1048575":             "1048575",
		"255-256,65535-65536": "255-256,65535-65536",
	} {
		if got := indices(t, in).String(); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	if n := indices(t, "0-1048575").Len(); n != MaxIndex+1 {
		t.Errorf("all indices are %d", n)
	}
	for _, tt := range [][2]string{
		{"x", `"x" is no index`},
		{"+3", "is no index"},
		{"3-", `"" is no index`},
		{"-3", `"" is no index`},
		{" 3", "is no index"},
		{"1,,2", "is no index"},
		{"1-2-3", `"2-3" is no index`},
		{"5-3", "backwards"},
		{"3,2", "must ascend"},
		{"0-4,4", "must ascend"},
		{"1048576", "from 0 to 1048575"},
		{"0-4000000000", "from 0 to 1048575"},
		{strings.Repeat("9", 500), "from 0 to 1048575"},
	} {
		_, err := ParseIndices(tt[0])
		if err == nil || !strings.Contains(err.Error(), tt[1]) || len(err.Error()) > 200 {
			t.Errorf("ParseIndices(%q): %v, want %q", tt[0], err, tt[1])
		}
	}
	for _, list := range [][]int{{-1}, {0, MaxIndex + 1}} {
		if _, err := NewIndices(list); err == nil || !strings.Contains(err.Error(), "outside 0 to") {
			t.Errorf("NewIndices(%v): %v", list, err)
		}
	}
}

func TestNewIndicesLeavesItsList(t *testing.T) {
	t.Parallel()
	list := []int{3, 1, 2}
	if x, err := NewIndices(list); err != nil || x.String() != "1-3" || list[0] != 3 {
		t.Errorf("%v, %v, %v", x, err, list)
	}
}
