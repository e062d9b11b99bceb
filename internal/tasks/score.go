package tasks

// Answer is what a model makes of one item.
type Answer struct {
	LogLikelihoods []float64 // nats, of each choice
	Normalised     []float64 // the same, divided; nil where the task has no acc_norm
	Right          bool      // the choice with the largest log-likelihood is right
	RightNorm      bool      // the choice with the largest normalised one is right
}

// Result is a model's accuracy on a task.
type Result struct {
	Task               *Task
	Truncated          int
	Answers            []Answer // of each item
	Correct            int      // items answered right by log-likelihood
	CorrectNorm        int      // and by the normalised one
	Accuracy, Norm     float64  // parts of the items; Norm is 0 where the task has no acc_norm
	Interval, NormSpan Interval
}

// Headline is the accuracy that the paper's table has of a task: acc_norm, or acc where there is none.
func (r *Result) Headline() (float64, Interval) {
	if r.Task.Norm == NoNorm {
		return r.Accuracy, r.Interval
	}
	return r.Norm, r.NormSpan
}

// Score turns losses into accuracy. nll[i] is the sum of the losses of Sequences[i], in nats.
func (p *Prepared) Score(nll []float64) *Result {
	r := &Result{Task: p.Task, Truncated: p.Truncated}
	pick := first
	if p.Task.Convention == LlamaWinoGrande {
		pick = firstIfGreater
	}
	for i, parts := range p.parts {
		a := Answer{}
		for _, part := range parts {
			sum := 0.0
			for _, s := range part.seqs {
				sum -= nll[s]
			}
			a.LogLikelihoods = append(a.LogLikelihoods, sum)
			if p.Task.Norm != NoNorm {
				a.Normalised = append(a.Normalised, sum/part.divisor)
			}
		}
		right := p.Task.Items[i].Right
		if a.Right = right[pick(a.LogLikelihoods)]; a.Right {
			r.Correct++
		}
		if a.RightNorm = a.Normalised != nil && right[pick(a.Normalised)]; a.RightNorm {
			r.CorrectNorm++
		}
		r.Answers = append(r.Answers, a)
	}
	n := len(r.Answers)
	r.Accuracy, r.Interval = float64(r.Correct)/float64(n), Wilson(r.Correct, n)
	if p.Task.Norm != NoNorm {
		r.Norm, r.NormSpan = float64(r.CorrectNorm)/float64(n), Wilson(r.CorrectNorm, n)
	}
	return r
}

// first returns the index of the largest value, the first of equals.
func first(values []float64) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

// firstIfGreater is llama-perplexity's choice between two: the second one of equals, and where one is not a number.
func firstIfGreater(values []float64) int {
	if values[0] > values[1] {
		return 0
	}
	return 1
}
