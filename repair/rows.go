package repair

import "math"

// maxNonlinear is how far, in parts of its norm, the product of the tapped features and the weights may be from what the block adds:
// llama.cpp rounds activations to 8 bits for quantised weights.
const maxNonlinear = 0.02

// linear makes sure, on a few positions, that the block adds the product of its projection and nothing else: behind a norm or a scale the
// closed form would be wrong.
func linear(p *Projection, before, after, features []float32, n int) string {
	var diff, norm float64
	for i := 0; i < n; i += max(1, n/8) {
		for o := range p.Out {
			sum := 0.0
			for j, w := range p.Weights[o*p.In : (o+1)*p.In] {
				sum += float64(w) * float64(features[i*p.In+j])
			}
			if p.Bias != nil {
				sum += float64(p.Bias[o])
			}
			got := float64(after[i*p.Out+o]) - float64(before[i*p.Out+o])
			diff += (got - sum) * (got - sum)
			norm += got * got
		}
	}
	if !(math.Sqrt(diff) <= maxNonlinear*math.Sqrt(norm)) {
		return "what it adds to the stream is more than its output projection's product (a norm or a scale follows)"
	}
	return ""
}

// outputs is W f for every position: what the block adds, less its bias.
func outputs(p *Projection, before, after []float32, n int) []float32 {
	out := difference(after, before)
	for i := range out {
		if p.Bias != nil {
			out[i] -= p.Bias[i%p.Out]
		}
	}
	return out[:n*p.Out]
}

// scaleRows divides the rows of some matrices by the root mean square of a stream at their position.
func scaleRows(stream []float32, n int, matrices ...[]float32) {
	d := len(stream) / n
	for i := range n {
		scale := float32(1 / math.Sqrt(square(stream[i*d:(i+1)*d])/float64(d)+1e-12))
		for _, m := range matrices {
			k := len(m) / n
			for j := i * k; j < (i+1)*k; j++ {
				m[j] *= scale
			}
		}
	}
}

func difference(a, b []float32) []float32 {
	out := make([]float32, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func square(a []float32) float64 {
	sum := 0.0
	for _, x := range a {
		sum += float64(x) * float64(x)
	}
	return sum
}
