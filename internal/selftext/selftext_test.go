package selftext

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

const end = 3

// fake predicts from a sequence's last token only: token t is followed by t+1 or t+2 in a vocabulary of 16, the end of a turn
// never with parts of a frame behind it by itself.
type fake struct {
	t      *testing.T
	pos    map[int]int
	stop   float32 // logit of end
	steps  int
	failAt int
}

func (f *fake) Step(_ context.Context, in []engine.Next, row func(int, []float32) error) error {
	if f.steps++; f.steps == f.failAt {
		return errors.New("engine failed")
	}
	for i, n := range in {
		if n.Pos != 0 && n.Pos != f.pos[n.Seq]+1 {
			f.t.Errorf("sequence %d goes from %d to %d", n.Seq, f.pos[n.Seq], n.Pos)
		}
		f.pos[n.Seq] = n.Pos
		logits := make([]float32, 16)
		logits[(n.Token+1)%16], logits[(n.Token+2)%16], logits[end] = 5, 5, f.stop
		if err := row(i, logits); err != nil {
			return err
		}
	}
	return nil
}

func write(t *testing.T, f *fake, o Options) ([][]engine.Token, error) {
	t.Helper()
	f.t, f.pos = t, map[int]int{}
	o.Ends = func(x engine.Token) bool { return x == end }
	ran := 0
	out, err := Write(context.Background(), f, o, func(n int) {
		if n <= ran {
			t.Errorf("%d tokens after %d", n, ran)
		}
		ran = n
	})
	return out, err
}

// Documents have their frame, are the same for the same seed whatever is written beside them, and others for another seed.
func TestWrite(t *testing.T) {
	t.Parallel()
	o := Options{Documents: 7, Tokens: 40, Parallel: 1, Temperature: 1, Seed: 5, Frames: [][][]engine.Token{{{1, 7}, {9, 9, 1}}}}
	alone, err := write(t, &fake{stop: 3}, o)
	if err != nil || len(alone) != 7 {
		t.Fatalf("%d documents, %v", len(alone), err)
	}
	for _, d := range alone {
		if len(d) > 40 || len(d) < 2+minWritten || d[0] != 1 || d[1] != 7 {
			t.Errorf("document %v", d)
		}
		found := false
		for i := range len(d) - 2 {
			found = found || i >= 2 && reflect.DeepEqual(d[i:i+3], o.Frames[0][1])
		}
		if !found {
			t.Errorf("%v lacks the second part of the frame", d)
		}
	}
	o.Parallel = 4
	beside, err := write(t, &fake{stop: 3}, o)
	if err != nil || !reflect.DeepEqual(alone[:4], beside[:4]) {
		t.Errorf("%v\nbeside others:\n%v, %v", alone, beside, err)
	}
	o.Seed = 6
	other, err := write(t, &fake{stop: 3}, o)
	if err != nil || reflect.DeepEqual(other, beside) {
		t.Errorf("another seed wrote the same: %v", err)
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	o := Options{Documents: 3, Tokens: 40, Parallel: 2, Temperature: 1, Frames: [][][]engine.Token{{{1}}}}
	if _, err := write(t, &fake{stop: 100}, o); err == nil {
		t.Error("a model that only ends texts wrote some")
	}
	if _, err := write(t, &fake{failAt: 4}, o); err == nil || err.Error() != "engine failed" {
		t.Errorf("the engine's error became %v", err)
	}
}

// Samples have the frequencies of the softmax; the greedy one is the likeliest.
func TestSample(t *testing.T) {
	t.Parallel()
	logits := []float32{0, 1, 2, float32(math.Inf(-1)), float32(math.NaN())}
	const n = 10000
	for _, temperature := range []float64{0.5, 1, 2} {
		count := make([]float64, len(logits))
		for i := range n {
			count[Sample(logits, temperature, (float64(i)+0.5)/n)]++
		}
		total := 0.0
		for i := range 3 {
			total += math.Exp(float64(i) / temperature)
		}
		for i := range 3 {
			if want := n * math.Exp(float64(i)/temperature) / total; math.Abs(count[i]-want) > 2 {
				t.Errorf("temperature %v: token %d %v times, want %.1f", temperature, i, count[i], want)
			}
		}
		if count[3]+count[4] > 0 {
			t.Errorf("impossible tokens were drawn")
		}
	}
	if got := Sample(logits, 0, 0.1); got != 2 {
		t.Errorf("greedy is %d", got)
	}
}
