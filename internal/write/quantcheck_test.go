package write

import (
	"math"
	"strings"
	"testing"
)

func TestNoiseExceeds(t *testing.T) {
	t.Parallel()
	whole := Noise{NMSE: 1e-4, KLD: 1e-2}
	for _, c := range []struct {
		n    Noise
		want string
	}{
		{Noise{NMSE: 2e-4, KLD: 2e-2}, ""},
		{Noise{NMSE: 2.1e-4, KLD: 1e-2}, "NMSE"},
		{Noise{NMSE: 1e-4, KLD: 2.1e-2}, "KL divergence"},
		{Noise{NMSE: math.NaN(), KLD: 1e-2}, "NMSE"},
	} {
		if got := c.n.exceeds(whole, 2); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.n, got, c.want)
		}
	}
	// What loses nothing may round.
	if got := (Noise{NMSE: 5e-7, KLD: 5e-6}).exceeds(Noise{}, 2); got != "" {
		t.Error(got)
	}
	if maxNoise(0, 24) != 2 || maxNoise(12, 24) != 4 || maxNoise(24, 24) != 48 {
		t.Error("the multiple is not twice over what is left")
	}
}
