package pipeline

import "context"

// compare sets the written file beside the original. The file is complete and checked by now: that a comparison fails is a
// warning. Only an interruption is an error.
func (j Job) compare(ctx context.Context, out *Outcome, rep Reporter) error {
	if j.Compare == nil {
		return nil
	}
	q := *j.Compare
	q.Runtime = j.Runtime
	q.Models = []Contender{{Label: "original", Path: j.Runtime.Path}, {Label: "pruned", Path: out.Write.Path}}
	c, err := Compare(ctx, q, rep)
	if err == nil {
		out.Comparison = c
		return nil
	}
	if ctx.Err() != nil {
		rep.Notef("%s is complete and checked; only the comparison was interrupted", out.Write.Path)
		return err
	}
	rep.Warnf("%s is complete and checked, but it was not compared: %v", out.Write.Path, err)
	return nil
}
