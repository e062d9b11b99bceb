package kld

import "math"

// expf is the C library's expf, the one of glibc since 2.28 (the Arm Optimized Routines' algorithm: a table of 2^(i/32) and
// a polynomial of degree 3 in double precision, an error of at most 0.502 of the last place). Rounding math.Exp gives
// another last bit for one argument in five hundred, and llama-perplexity's digits are what is wanted. Compared over all
// 2^32 arguments, two differ: where the processor has it, the C library fuses multiplications and additions.
func expf(x float32) float32 {
	// Beyond these the result is 0, or more than a float32 holds. NaN goes through.
	switch {
	case x < -103.97208:
		return 0
	case x > 88.72283:
		return float32(math.Inf(1))
	}
	const (
		perOctave = expfTable / math.Ln2
		shift     = 0x1.8p+52 // adding it rounds to a whole number, which then is in the low bits
	)
	z := perOctave * float64(x)
	k := z + shift
	ki := math.Float64bits(k)
	r := z - (k - shift)
	s := math.Float64frombits(expfTwo[ki%expfTable] + ki<<(52-expfBits))
	y := expfC2*r + 1
	y = (expfC0*r+expfC1)*(r*r) + y
	return float32(y * s)
}

const (
	expfBits  = 5
	expfTable = 1 << expfBits

	// The polynomial of 2^(r/32) that the C library uses: minimax, so not quite the Taylor series.
	expfC0 = 0x1.c6af84b912394p-5 / expfTable / expfTable / expfTable
	expfC1 = 0x1.ebfce50fac4f3p-3 / expfTable / expfTable
	expfC2 = 0x1.62e42ff0c52d6p-1 / expfTable
)

// expfTwo has the bits of 2^(i/32), less i in the exponent's lowest bits: adding the whole of k there gives 2^(k/32).
var expfTwo = func() (t [expfTable]uint64) {
	for i := range t {
		t[i] = math.Float64bits(math.Exp2(float64(i)/expfTable)) - uint64(i)<<(52-expfBits)
	}
	return t
}()
