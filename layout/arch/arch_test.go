package arch

import (
	"slices"
	"testing"
)

// TestKnownArchitectures: an architecture stands in one list only, and what makes layers stay has its reason.
func TestKnownArchitectures(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	count := func(arch string) {
		if seen[arch] {
			t.Errorf("%s is listed twice", arch)
		}
		seen[arch] = true
	}
	for _, a := range slices.Concat(plain, parallel) {
		count(a)
	}
	for a, tr := range special {
		count(a)
		if (tr.Join == KeepAll) != (tr.Why != "") {
			t.Errorf("%s: layers stay is %v, reason %q", a, tr.Join == KeepAll, tr.Why)
		}
		if tr.Join == KeepAll && tr.SWA != nil {
			t.Errorf("%s: a pattern that is never written", a)
		}
	}
	for a := range deci {
		if !seen[a] {
			t.Errorf("%s can be deci but is not known", a)
		}
	}
}

func TestBaseName(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]string{
		"ffn_down.weight": "ffn_down", "ffn_down.bias": "ffn_down", "ffn_down.3.weight": "ffn_down",
		"shortconv.out_proj.weight": "shortconv.out_proj", "ssm_a": "ssm_a", "attn_q.scale": "attn_q.scale",
	} {
		if got := BaseName(rest); got != want {
			t.Errorf("BaseName(%q) = %q, want %q", rest, got, want)
		}
	}
}
