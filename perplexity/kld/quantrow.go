package kld

import (
	"encoding/binary"
	"math"

	"github.com/ggufprune/ggufprune/engine"
)

// Below this many nats under the likeliest token, llama-perplexity's base files hold no more detail.
const logitRange = 16

// rowWords is the length of one position in a base file, in words of 16 bits: two float32, and a word for each token of the
// vocabulary, made even.
func rowWords(vocab int) int { return 2*((vocab+1)/2) + 4 }

// quantizeRow appends to dst the log-probabilities that logits stand for, as llama-perplexity saves them (perplexity.cpp): a
// float32 scale, the float32 least log-probability in nats, then for each token how many scales it is above that.
func quantizeRow(dst []byte, logits []float32) []byte {
	top, bottom := logits[0], logits[0]
	for _, l := range logits[1:] {
		if l > top {
			top = l
		}
		if l < bottom {
			bottom = l
		}
	}
	if floor := top - logitRange; bottom < floor {
		bottom = floor
	}
	logSum := logSumExp(logits, top)
	scale := (top - bottom) / 65535
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(scale))
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(bottom-top-logSum))
	inverse := 1 / scale
	for _, l := range logits {
		var q uint16
		if scale != 0 && l > bottom {
			q = nearest(inverse * (l - bottom))
		}
		dst = binary.LittleEndian.AppendUint16(dst, q)
	}
	if len(logits)%2 != 0 {
		dst = append(dst, 0, 0)
	}
	return dst
}

// logSumExp returns the logarithm of the sum of exp(logit - top), summed in double precision, as a float32.
func logSumExp(logits []float32, top float32) float32 {
	sum := 0.0
	for _, l := range logits {
		sum += float64(expf(l - top))
	}
	return float32(math.Log(sum))
}

// nearest rounds x, less than 2^22, to a whole number, halves to even ones, as ggml does.
func nearest(x float32) uint16 {
	const shift = 12582912 // 1.5 * 2^23: the unit is then the last bit
	return uint16(int(math.Float32bits(x+shift)&0x007fffff) - 0x00400000)
}

// quantizedRow is one position of a base file.
type quantizedRow struct {
	scale, least float32
	words        []byte // two for each token, little endian
}

// parseRow reads what quantizeRow wrote.
func parseRow(raw []byte, vocab int) quantizedRow {
	return quantizedRow{
		scale: math.Float32frombits(binary.LittleEndian.Uint32(raw)),
		least: math.Float32frombits(binary.LittleEndian.Uint32(raw[4:])),
		words: raw[8 : 8+2*vocab],
	}
}

// sound reports whether the row is one that quantizeRow can have written of numbers: the words count upwards from a log-probability.
func (q quantizedRow) sound() bool {
	return q.scale >= 0 && q.scale <= logitRange && q.least <= 0 && q.least >= -math.MaxFloat32
}

// logProb returns the log-probability of token t in nats.
func (q quantizedRow) logProb(t engine.Token) float32 {
	return q.scale*float32(binary.LittleEndian.Uint16(q.words[2*t:])) + q.least
}
