package naming

import "testing"

func TestRounded(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{
		7: "0.01K", 31e3: "31K", 1.24e6: "1.2M", 494e6: "494M", 2.64e9: "2.6B", 13e9: "13B", 70.6e9: "71B", 1.5e12: "1.5T", 9.96e9: "10B",
	} {
		if got := rounded(n); got != want {
			t.Errorf("%g weights: %s, want %s", n, got, want)
		}
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want string }{
		{"Llama 3.2 3B Instruct", "Llama 3.2 2.6B Instruct pruned"}, {"My Model", "My Model pruned"}, {"Twice Pruned", "Twice Pruned"}, {".", "."}, {" ", " "},
	} {
		if got := Title(tt.name, "3B", "2.6B"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.name, got, tt.want)
		}
	}
}
