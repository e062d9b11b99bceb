package format

import (
	"os/exec"
	"testing"

	"pgregory.net/rapid"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1.00K", 11540736: "11.5M", 999_600: "1.00M", 7_000_000_000: "7.00B", 100_400: "100K"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 12380096: "11.8 MiB", 4 << 30: "4.00 GiB", 1 << 20: "1.00 MiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

// A shell reads back what was quoted.
func TestShell(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab'\"\\$`;&|<>*? \n~#é")), 0, 12, -1).Draw(t, "s")
		out, err := exec.Command("sh", "-c", "printf %s "+Shell(s)).Output()
		if err != nil || string(out) != s {
			t.Fatalf("%q is quoted as %s, which reads as %q (%v)", s, Shell(s), out, err)
		}
	})
}
