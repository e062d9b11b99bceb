package flags

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// FuzzNumbers reads any text as a size, as each goal, as a number of layers and as proportions of devices.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{
		"3.2GiB", "800 MB", "1e3kb", "9223372036854775807", "4611686018427387904b", "1e308TiB", "-0", "0x1p4", "inf", "NaN", "1_0", "", " ", "0.2", "1.15", "1e-400",
		"all", "-1", "+3", "1048577", "3,1", "3/1,,0", "1e39", "0,0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		wrong := func(err error) {
			t.Helper()
			usage := (*Error)(nil)
			if !errors.As(err, &usage) {
				t.Errorf("%q: %v is no mistake on the command line", s, err)
			}
		}
		fuzztest.Bounded(t, len(s), func() {
			size, err := parseSize(s)
			if err != nil {
				wrong(err)
			} else if again, err := parseSize(strconv.FormatInt(size, 10)); size < 1 || err != nil || math.Abs(float64(again-size)) > 1e-15*float64(size) {
				t.Errorf("%q is %d bytes, which are %d, %v", s, size, again, err)
			}
			for _, name := range []string{"ratio", "blocks", "target-speedup", "max-ppl-ratio", "max-kld", "target-size"} {
				goal, err := givenGoal{name: name, value: s}.goal()
				if err != nil {
					wrong(err)
					continue
				}
				for _, x := range []float64{goal.Ratio, float64(goal.Blocks), goal.Speedup, goal.MaxPPLRatio, goal.MaxKLD, float64(goal.Size)} {
					if !(x >= 0) || math.IsInf(x, 0) {
						t.Errorf("--%s %q is %+v", name, s, goal)
					}
				}
			}
			if n, err := parseNGL(s); err != nil {
				wrong(err)
			} else if n < -1 || n > 1<<20 {
				t.Errorf("%q is %d layers", s, n)
			}
			split, err := parseTensorSplit(s)
			if err != nil {
				wrong(err)
				return
			}
			again, err := parseTensorSplit(strings.Trim(fmt.Sprint(split), "[]"))
			if len(split) == 1 && (err != nil || again[0] != split[0]) {
				t.Errorf("%q is %v, which is %v, %v", s, split, again, err)
			}
		})
	})
}
