package compare

import (
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

func scored(nats, speed float64) Row {
	return Row{
		Label: "m", Type: "Q6_K",
		KL:    &kld.Report{PPL: kld.Mean{Value: 7}, KLD: kld.Mean{Value: nats, StdErr: 0.01}},
		Speed: &Speed{GenerateRatio: Rate{Mean: speed, StdDev: 0.02, Repeats: 4}},
	}
}

// The verdict names what is better by more than the error of measurement, and says that it depends where that differs.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prunedKLD, rivalKLD, prunedSpeed, rivalSpeed float64
		want                                         string
	}{
		{0.5, 0.1, 1, 1.2, "Quantising is the better buy here: Q6_K of the original is closer to it (KLD 0.1000 against 0.5000) and generates faster"},
		{0.5, 0.1, 1, 1.01, "Quantising is the better buy here: Q6_K of the original is closer to it (KLD 0.1000 against 0.5000) and generates as fast"},
		{0.5, 0.1, 1.3, 1.1, "It depends: Q6_K of the original is closer to it (KLD 0.1000 against 0.5000), the pruned model generates faster (x1.30 against x1.10"},
		{0.1, 0.5, 1.3, 1.1, "Pruning is the better buy"},
		{0.1, 0.5, 1.1, 1.3, "It depends: the pruned model is closer to the original than its Q6_K (KLD 0.1000 against 0.5000), which generates faster (x1.30 against x1.10"},
		{0.5, 0.49, 1, 1.2, "Quantising is the better buy here: Q6_K of the original is as close"},
		{0.5, 0.49, 1.2, 1, "Pruning is the better buy here: Q6_K of the original is as close"},
		{0.5, 0.49, 1, 1, "Neither"},
		{math.Inf(1), 0.5, 1, 1, "Quantising"},
		{0.5, math.NaN(), 1, 1, "Pruning"},
	} {
		got := weigh(scored(c.prunedKLD, c.prunedSpeed), scored(c.rivalKLD, c.rivalSpeed), &SpeedTest{})
		if !strings.HasPrefix(got, c.want) || strings.Count(got, ". ") != 0 || !strings.HasSuffix(got, ".") {
			t.Errorf("%+v: %q", c, got)
		}
	}
	unsure := scored(0.1, 0)
	unsure.KL.KLD.StdErr = math.NaN()
	if got := weigh(unsure, scored(3, 0), nil); !strings.HasPrefix(got, "Pruning is the better buy") {
		t.Errorf("of a few positions: %q", got)
	}
	if got := weigh(scored(0.5, 0), scored(0.1, 0), nil); got != "Quantising is the better buy here: Q6_K of the original is closer to it (KLD 0.1000 against 0.5000)." {
		t.Errorf("without speeds: %q", got)
	}
	file := scored(0.1, 1)
	file.Label, file.Path = "ollama:m:q3", "blob"
	if got := weigh(scored(0.5, 1), file, nil); got != "Quantising is the better buy here: ollama:m:q3 is closer to the original (KLD 0.1000 against 0.5000)." {
		t.Errorf("of a file: %q", got)
	}
	file.Pruned = Pruned
	if got := weigh(scored(0.5, 1), file, nil); !strings.HasPrefix(got, "The rival is the better buy here: ollama:m:q3 ") {
		t.Errorf("of a pruned file: %q", got)
	}
	if got := verdict(&Comparison{Rival: &Rival{Reason: "why"}}, 0); got != "Nothing to set against it: why." {
		t.Errorf("without a rival: %q", got)
	}
	base := &Comparison{Rival: &Rival{Type: "Q6_K", Note: "But."}, Rows: []Row{{}, scored(0, 1), scored(0.5, 1), scored(0.1, 1)}}
	if got := verdict(base, 2); !strings.HasSuffix(got, "(KLD 0.1000 against 0.5000). But.") {
		t.Errorf("with a base file: %q", got)
	}
}

// Types are tried from the largest that may fit down, never one that is no smaller than the original.
func TestRivalChoices(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open("../../testdata/tiny-11m-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := rivalChoices(RivalAuto, f, f.Bytes())
	if len(all) == 0 || all[0] != "Q6_K" || all[len(all)-1] != "Q2_K" {
		t.Errorf("at full size: %v", all)
	}
	half := rivalChoices(RivalAuto, f, f.Bytes()/2)
	if len(half) == 0 || len(half) >= len(all) || half[len(half)-1] != "Q2_K" {
		t.Errorf("at half: %v", half)
	}
	if none := rivalChoices(RivalAuto, f, 1000); len(none) != 0 {
		t.Errorf("at nothing: %v", none)
	}
	if one := rivalChoices("Q4_K_M", f, 1000); len(one) != 1 || one[0] != "Q4_K_M" {
		t.Errorf("as asked: %v", one)
	}
	if _, err := ParseRival("Q4_K_X"); err == nil {
		t.Error("an unknown type is no error")
	}
	if s, err := ParseRival("q4_k_m"); err != nil || s != "Q4_K_M" {
		t.Errorf("%q, %v", s, err)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	r, ratio := ratesOf([]float64{10, 14}, []float64{5, 7})
	if r.Mean != 12 || math.Abs(r.StdDev-math.Sqrt(8)) > 1e-12 || r.Repeats != 2 || ratio.Mean != 2 || ratio.StdDev != 0 {
		t.Errorf("%+v %+v", r, ratio)
	}
	if one := rateOf([]float64{3}); one.Mean != 3 || one.StdDev != 0 || one.Median != 3 {
		t.Errorf("%+v", one)
	}
	samples := []float64{9, 1, 2}
	if r := rateOf(samples); r.Median != 2 || samples[0] != 9 {
		t.Errorf("%+v of %v", r, samples)
	}
	if r := rateOf([]float64{9, 1, 2, 4}); r.Median != 3 {
		t.Errorf("%+v", r)
	}
}
