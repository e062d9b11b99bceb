package compare

import (
	"fmt"
	"math"
)

// verdict says in a sentence whether the subject or the quantised first model is the better buy, "" where nothing was compared.
// subject is its row.
func verdict(o *Comparison, subject int) string {
	switch {
	case o.Rival == nil:
		return ""
	case o.Rival.Type == "":
		return "Nothing to set against it: " + o.Rival.Reason + "."
	}
	text := weigh(o.Rows[subject], o.Rows[len(o.Rows)-1], o.Speed)
	if o.Rival.Note != "" {
		text += " " + o.Rival.Note
	}
	return text
}

// weigh sets two models against each other. A difference within the error of measurement is none.
func weigh(pruned, rival Row, t *SpeedTest) string {
	quality := closer(pruned, rival)
	// The numbers are in the order in which a sentence names the two models, the rival first but in two cases.
	against := func(first, second Row) string {
		return fmt.Sprintf("KLD %.4f against %.4f", first.KL.KLD.Value, second.KL.KLD.Value)
	}
	kld, speed, times := against(rival, pruned), 0, ""
	if t != nil && rival.Speed != nil && pruned.Speed != nil {
		speed = faster(pruned.Speed.GenerateRatio, rival.Speed.GenerateRatio)
		times = fmt.Sprintf("x%.2f against x%.2f of the original's speed", rival.Speed.GenerateRatio.Mean, pruned.Speed.GenerateRatio.Mean)
		switch {
		case quality < 0 && speed > 0:
			kld = against(pruned, rival)
		case quality > 0 && speed < 0:
			times = fmt.Sprintf("x%.2f against x%.2f of the original's speed", pruned.Speed.GenerateRatio.Mean, rival.Speed.GenerateRatio.Mean)
		}
	}
	// The quantiser's product is called by its type, a file by its name.
	name, it, its, quantising := rival.Type+" of the original", "it", "its "+rival.Type, "Quantising"
	if rival.Path != "" {
		name, it, its = rival.Label, "the original", rival.Label
	}
	if rival.Pruned != "" {
		quantising = "The rival"
	}
	// 1 is for the rival, -1 for the pruned model.
	switch {
	case quality > 0 && speed > 0:
		return fmt.Sprintf("%s is the better buy here: %s is closer to %s (%s) and generates faster (%s).", quantising, name, it, kld, times)
	case quality > 0 && speed < 0:
		return fmt.Sprintf("It depends: %s is closer to %s (%s), the pruned model generates faster (%s).", name, it, kld, times)
	case quality > 0 && times != "":
		return fmt.Sprintf("%s is the better buy here: %s is closer to %s (%s) and generates as fast within the error of measurement (%s).", quantising, name, it, kld, times)
	case quality > 0:
		return fmt.Sprintf("%s is the better buy here: %s is closer to %s (%s).", quantising, name, it, kld)
	case quality < 0 && speed > 0:
		return fmt.Sprintf("It depends: the pruned model is closer to the original than %s (%s), which generates faster (%s).", its, kld, times)
	case quality < 0 && times != "":
		return fmt.Sprintf("Pruning is the better buy here: %s is further from %s (%s) and no faster (%s).", name, it, kld, times)
	case quality < 0:
		return fmt.Sprintf("Pruning is the better buy here: %s is further from %s (%s).", name, it, kld)
	case speed > 0:
		return fmt.Sprintf("%s is the better buy here: %s is as close to %s (%s) and generates faster (%s).", quantising, name, it, kld, times)
	case speed < 0:
		return fmt.Sprintf("Pruning is the better buy here: %s is as close to %s (%s) but generates slower (%s).", name, it, kld, times)
	default:
		return fmt.Sprintf("Neither is the better buy: %s is as close to %s (%s).", name, it, kld)
	}
}

// closer is 1 where the rival's KL divergence is lower, -1 where the pruned model's is, else 0. What gives no numbers loses.
func closer(pruned, rival Row) int {
	p, r := pruned.KL, rival.KL
	switch {
	case !p.Finite() && !r.Finite():
		return 0
	case !p.Finite():
		return 1
	case !r.Finite():
		return -1
	}
	margin := 2 * math.Hypot(p.KLD.StdErr, r.KLD.StdErr)
	if math.IsNaN(margin) { // of a few positions no error is known
		margin = 0
	}
	return sign(p.KLD.Value-r.KLD.Value, margin)
}

// leastGain is the part of the speed below which a difference is not noticed.
const leastGain = 0.02

// faster is 1 where the rival is faster, -1 where the pruned model is, else 0.
func faster(pruned, rival Rate) int {
	errorOf := func(r Rate) float64 { return r.StdDev / math.Sqrt(float64(max(1, r.Repeats))) }
	return sign(rival.Mean-pruned.Mean, max(leastGain*pruned.Mean, 2*math.Hypot(errorOf(pruned), errorOf(rival))))
}

// sign returns the sign of d, 0 where it is at most margin in size.
func sign(d, margin float64) int {
	switch {
	case d > margin:
		return 1
	case d < -margin:
		return -1
	}
	return 0
}
