package paperbench

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// A choice counts where the reference's margin is beyond what the two programs' arithmetic can turn around. The noise of a candidate
// is ln(ours/theirs): what all candidates have in common of it turns nothing around, so its scatter is taken, as the median distance
// from its median. That is 1/1.4826 of a normal distribution's standard deviation, the difference of two candidates scatters by the
// root of two more, and noiseSigmas of that is called noise. A median is not widened by the few candidates without which the model is
// broken, and which differ most.
const (
	noiseSigmas = 2
	madToSigma  = 1.4826
)

// verdict is what the comparison of one step says.
type verdict struct {
	theirs, ours string  // the blocks that are chosen
	second       string  // the reference's
	margin       float64 // ln(second/best) of the reference's perplexities
	noise        float64 // see above, in the same unit
	behind       float64 // ln of the reference's perplexity without our choice over that without its own
	median       float64 // of |ours/theirs - 1| over all candidates
	worst        float64
	ranks        float64 // Spearman's correlation of the candidates' perplexities; NaN of fewer than three
	apart        int     // candidates that are broken on one side only
}

// counted reports whether the margin exceeds the noise.
func (v verdict) counted() bool { return v.margin > v.noise }

// same reports whether both removed the same block.
func (v verdict) same() bool { return v.ours == v.theirs }

// compare judges a step. Both have the same candidates.
func compare(their referenceStep, our ourStep) verdict {
	v := verdict{theirs: their.removed.String(), ours: our.Scored[our.Best].Mask.String()}
	best := their.ppl[v.theirs]
	v.behind = math.Log(their.ppl[v.ours] / best)
	next := math.Inf(1)
	var a, b, logs, relative []float64
	for _, c := range our.Scored {
		name := c.Mask.String()
		ppl := their.ppl[name]
		if name != v.theirs && (v.second == "" || ppl < next) {
			v.second, next = name, ppl
		}
		switch ours, theirs := jsonnum.Finite(c.Score), jsonnum.Finite(ppl); {
		case ours && theirs:
			a, b = append(a, c.Score), append(b, ppl)
			logs = append(logs, math.Log(c.Score/ppl))
			relative = append(relative, math.Abs(c.Score/ppl-1))
		case ours != theirs:
			v.apart++
		}
	}
	if v.second != "" { // the last block has none to be chosen over
		v.margin = math.Log(next / best)
	}
	v.noise = noiseSigmas * math.Sqrt2 * madToSigma * scatter(logs)
	v.median, v.worst, v.ranks = measure.Median(relative), math.NaN(), math.NaN()
	if len(a) > 0 {
		v.worst = slices.Max(relative)
	}
	if len(a) > 2 {
		v.ranks = stat.Correlation(ranks(a), ranks(b), nil)
	}
	return v
}

// scatter is the median distance from the median.
func scatter(x []float64) float64 {
	m := measure.Median(x)
	d := make([]float64, len(x))
	for i := range x {
		d[i] = math.Abs(x[i] - m)
	}
	return measure.Median(d)
}

// ranks are the places of the numbers in their order, equal ones sharing theirs.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
	out := make([]float64, len(x))
	for first := 0; first < len(order); {
		last := first
		for last+1 < len(order) && x[order[last+1]] == x[order[first]] {
			last++
		}
		for i := first; i <= last; i++ {
			out[order[i]] = float64(first+last) / 2
		}
		first = last + 1
	}
	return out
}

// total is what all steps say together.
type total struct {
	steps, counted, same int     // same: of those counted
	within               int     // other choices where the margin is within the noise
	theirs, ours         float64 // CPU seconds
	medians              []float64
	worst, ranks         float64 // of all steps: the largest difference, the smallest correlation
}

func (t *total) add(v verdict, theirs, ours float64) {
	t.steps++
	switch {
	case v.counted():
		t.counted++
		if v.same() {
			t.same++
		}
	case !v.same():
		t.within++
	}
	t.theirs, t.ours = t.theirs+theirs, t.ours+ours
	t.medians = append(t.medians, v.median)
	if v.worst > t.worst {
		t.worst = v.worst
	}
	if t.steps == 1 || math.IsNaN(t.ranks) || v.ranks < t.ranks {
		t.ranks = v.ranks
	}
}

// report prints all steps, and the figures.
func report(ref *reference, steps []ourStep) {
	fmt.Printf("PyTorch %s, transformers %s, float32\n\n", ref.Versions["torch"], ref.Versions["transformers"])
	fmt.Printf("whole model: PyTorch %.4f, ours %.4f (%+.3f%%)\n", float64(ref.Whole.PPL), steps[0].Base, 100*(steps[0].Base/float64(ref.Whole.PPL)-1))
	var t total
	for i, their := range ref.Steps {
		our := steps[i]
		v := compare(their, our)
		t.add(v, their.CPU, our.cpu)
		fmt.Printf("step %d: PyTorch %-7s %.4f  ours %-7s %.4f  %s\n", i+1, v.theirs, their.ppl[v.theirs], v.ours, our.Scored[our.Best].Score, v.choice())
		fmt.Printf("        second %s by %.3f%%, noise %.3f%%; %d candidates differ by %.3f%% (median) and %.3f%% (most), rank correlation %.4f; CPU s %.1f and %.1f\n",
			v.second, percent(v.margin), percent(v.noise), len(our.Scored), 100*v.median, 100*v.worst, v.ranks, their.CPU, our.cpu)
		if v.apart > 0 {
			fmt.Printf("        %d candidates are broken on one side only\n", v.apart)
		}
	}
	t.print()
}

func percent(log float64) float64 { return 100 * math.Expm1(log) }

// choice says what the choices have to do with each other.
func (v verdict) choice() string {
	switch {
	case v.same() && v.counted():
		return "same"
	case v.same():
		return "same, within the noise"
	case v.counted():
		return fmt.Sprintf("ANOTHER, %.3f%% behind by PyTorch's perplexities", percent(v.behind))
	default:
		return fmt.Sprintf("another, %.3f%% behind, within the noise", percent(v.behind))
	}
}

// print prints the summary and the figures. Where no step counts there is nothing to say of choices.
func (t *total) print() {
	fmt.Printf("\nthe margin exceeds the noise in %d of %d steps, and the choice is the same in %d of these; of the other steps it differs in %d\n",
		t.counted, t.steps, t.same, t.within)
	fmt.Printf("CPU s of the steps: PyTorch %.1f, ours %.1f\n\n", t.theirs, t.ours)
	fmt.Printf("figure paper_cpu_ratio %.3f\n", t.theirs/t.ours)
	if t.counted > 0 {
		fmt.Printf("figure paper_same_choices %.4f\n", float64(t.same)/float64(t.counted))
	}
	fmt.Printf("figure paper_ppl_diff_pct_median %.4f\nfigure paper_ppl_diff_pct_worst %.4f\nfigure paper_rank_correlation %.4f\n",
		100*measure.Median(t.medians), 100*t.worst, t.ranks)
}
