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
	q.Models = []Contender{{Label: "original", Path: j.Runtime.Path}, {Label: Pruned, Path: out.Write.Path}}
	if out.repaired() {
		f, err := openFile(out.Write.Path)
		if err != nil {
			return err
		}
		facts := FileFacts{f.Arch(), out.Write.Unrepaired, f.Params()}
		f.Close()
		unrepaired := Contender{Label: Pruned, Path: j.Runtime.Path, Removed: out.Removed, File: facts}
		q.Models = []Contender{q.Models[0], unrepaired, {Label: Repaired, Path: out.Write.Path}}
		q.Subject = 2
	}
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

// repaired reports whether the written file has weights that the original has not.
func (o *Outcome) repaired() bool {
	return o.Repair != nil && !o.Repair.Undone && len(o.Repair.Weights) > 0
}
