package compare

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/engine"
)

// rateOf sums up the samples, as llama-bench does.
func rateOf(samples []float64) Rate {
	r := Rate{Repeats: len(samples)}
	for _, x := range samples {
		r.Mean += x / float64(len(samples))
	}
	for _, x := range samples {
		r.StdDev += (x - r.Mean) * (x - r.Mean)
	}
	if len(samples) < 2 {
		r.StdDev = 0
	} else {
		r.StdDev = math.Sqrt(r.StdDev / float64(len(samples)-1))
	}
	if sorted := slices.Sorted(slices.Values(samples)); len(sorted) > 0 {
		r.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	}
	return r
}

// ratesOf returns the rates of a and their ratio to those of b, which ran in turns.
func ratesOf(a, b []float64) (rate, ratio Rate) {
	q := make([]float64, len(b))
	for i := range q {
		q[i] = a[i] / b[i]
	}
	return rateOf(a), rateOf(q)
}

const (
	kvUnit     = 1024 // tokens of context of which the memory is told
	leastTimes = 3    // repeats
)

// speed measures r, the model of the last row. The first one stays loaded, to run in turns with each of the others: what
// else the machine does hits both, and never more than two models are in memory.
func (c *comparer) speed(ctx context.Context, r *runner) error {
	if c.j.Speed == nil {
		return nil
	}
	row := &c.out.Rows[len(c.out.Rows)-1]
	var err error
	if row.Speed, err = c.prepare(ctx, r); err != nil {
		return err
	}
	if c.reference == nil {
		c.reference, c.referenceRow = r, len(c.out.Rows)-1
		return nil
	}
	samples, err := c.turns(ctx, c.reference, r)
	if err != nil {
		return err
	}
	base := samples[0]
	c.baseSamples.prompt = append(c.baseSamples.prompt, base.prompt...)
	c.baseSamples.generate = append(c.baseSamples.generate, base.generate...)
	row.Speed.Prompt, row.Speed.PromptRatio = ratesOf(samples[1].prompt, base.prompt)
	row.Speed.Generate, row.Speed.GenerateRatio = ratesOf(samples[1].generate, base.generate)
	return nil
}

// referenceSpeed sums up what was measured of the reference beside the others, or measures it now where there are none.
func (c *comparer) referenceSpeed(ctx context.Context) error {
	row := &c.out.Rows[c.referenceRow]
	switch {
	case row.Speed == nil:
		return nil
	case len(c.baseSamples.prompt) == 0 && c.reference == nil: // no other model fitted into memory beside it
		row.Speed, c.out.Speed = nil, nil
		return nil
	case len(c.baseSamples.prompt) == 0:
		samples, err := c.turns(ctx, c.reference)
		if err != nil {
			return err
		}
		c.baseSamples = samples[0]
	}
	row.Speed.Prompt, row.Speed.Generate = rateOf(c.baseSamples.prompt), rateOf(c.baseSamples.generate)
	return nil
}

// speedSamples are tokens per second, one for each repeat.
type speedSamples struct{ prompt, generate []float64 }

// prepare loads the model once more, with its file fresh in memory as it is when it is used a second time, and opens the
// context that is timed.
func (c *comparer) prepare(ctx context.Context, r *runner) (*Speed, error) {
	r.close()
	s := &Speed{}
	begin := time.Now()
	var err error
	if r.model, err = c.j.Spec.Load(ctx, r.path); err != nil {
		return nil, err
	}
	s.Load = time.Since(begin)
	t := c.j.Speed
	if s.KVPer1k, err = c.contextBytes(r.model); err != nil {
		return nil, err
	}
	r.bench, err = r.model.NewBench(c.benchParams(max(t.Prompt, t.Generate)))
	return s, err
}

// contextBytes returns what a context takes for each kvUnit tokens. Two sizes are compared: what a recurrent model keeps
// whatever the length is in both.
func (c *comparer) contextBytes(m engine.Model) (int64, error) {
	var bytes [2]int64
	for i := range bytes {
		b, err := m.NewBench(c.benchParams((i + 1) * kvUnit))
		if err != nil {
			return 0, err
		}
		bytes[i] = b.MemoryBytes()
		b.Close()
	}
	return bytes[1] - bytes[0], nil
}

func (c *comparer) benchParams(tokens int) engine.BenchParams {
	return engine.BenchParams{
		Context: tokens, Batch: min(c.j.Text.Batch, tokens), UBatch: min(c.j.UBatch, c.j.Text.Batch, tokens),
		Threads: c.j.Spec.Threads, FlashAttn: c.j.Spec.FlashAttn,
	}
}

// turns times the models in turns, after a run of each that does not count.
func (c *comparer) turns(ctx context.Context, models ...*runner) ([]speedSamples, error) {
	t := c.j.Speed
	bar := c.sink.Start("speed: "+models[len(models)-1].label, int64(t.Repeats+1))
	defer bar.Stop()
	for _, m := range models {
		if _, err := m.bench.Prompt(ctx, t.Prompt); err != nil {
			return nil, err
		}
		if _, err := m.bench.Generate(ctx, 1); err != nil {
			return nil, err
		}
	}
	samples := make([]speedSamples, len(models))
	begin := time.Now()
	for n := range t.Repeats {
		bar.Set(int64(n+1), fmt.Sprintf("repeat %d", n+1))
		if n >= leastTimes && t.Limit > 0 && time.Since(begin) > t.Limit {
			break
		}
		if err := c.turn(ctx, models, samples, n); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// turn is one repeat of all models; who is first changes from turn to turn.
func (c *comparer) turn(ctx context.Context, models []*runner, samples []speedSamples, n int) error {
	t := c.j.Speed
	for k := range models {
		i := (n + k) % len(models)
		d, err := models[i].bench.Prompt(ctx, t.Prompt)
		if err != nil {
			return err
		}
		samples[i].prompt = append(samples[i].prompt, float64(t.Prompt)/d.Seconds())
	}
	for k := range models {
		i := (n + k) % len(models)
		d, err := models[i].bench.Generate(ctx, t.Generate)
		if err != nil {
			return err
		}
		samples[i].generate = append(samples[i].generate, float64(t.Generate)/d.Seconds())
	}
	return nil
}
