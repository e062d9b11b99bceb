package page

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/internal/format"
)

// page is what a report says, as text and geometry.
type page struct {
	Title    string
	Subtitle string
	Figures  []figure
	Notes    []string // what the reader should know before believing the figures
	Curves   []*chart.Curve
	HeldOut  *chart.Curve // nil where fewer than two models were measured on other text
	Verdict  string       // whether pruning or quantising is the better buy; "" is unknown
	Heat     *chart.Heat  // nil where the steps have no scores to compare
	Scores   *scoreTable  // those of Heat
	Map      *chart.BlockMap
	Order    string
	Steps    stepTable
	Tables   []Table
	Fitted   []Table // what fits of channels tried and lost
	Commands []command
	Facts    []factGroup
	Command  string // that made this; "" is unknown
	PlanOnly bool   // no file was written
	Repaired bool   // the file's weights were re-fitted
	Narrow   bool   // FFNs lost channels
	Whole    bool   // whole blocks went
}

// figure is one of the numbers at the top.
type figure struct{ Value, Name, Note string }

// stepTable is what was removed in which order.
type stepTable struct {
	Metric    string
	Ratio     bool // has a column of ratios
	Speed     bool
	Size      bool
	Rows      []stepRow
	Estimated bool
}

type stepRow struct {
	Index                                            int // 0 is the whole model
	Removed, Score, Ratio, Change, Gone, Size, Speed string
	Beyond                                           bool
}

// newPage decides what is said.
func newPage(in Input) page {
	p := page{
		Title: in.title(), Subtitle: in.subtitle(), Figures: in.figures(), Notes: in.notes(), Curves: in.curves(), Order: in.order(in.steps()),
		Steps: in.stepTable(), Tables: in.cleanTables(), Commands: in.commands(), Facts: in.facts(), PlanOnly: in.Pruned == nil,
		Narrow: in.narrowed().FFNs > 0,
	}
	p.Repaired = in.Pruned != nil && in.Pruned.Repair != nil || in.Pruned == nil && p.Narrow // where channels go, a fit is part of it
	if p.HeldOut = in.heldOut(); p.HeldOut != nil {
		p.Verdict = in.verdict()
	}
	if p.Heat = in.heatMap(); p.Heat != nil {
		t := in.scoreTable()
		p.Scores = &t
	}
	p.Map, p.Whole = in.blockMap(), !p.Narrow || in.Plan.Mask(in.steps()).Len() > 0
	p.Fitted = in.fittedTables()
	p.Command = shellLine(in.Command)
	return p
}

// sourceName is what the whole model is called.
func (in Input) sourceName() string {
	if in.Source != nil && in.Source.Meta.Name != "" {
		return clean(in.Source.Meta.Name)
	}
	return clean(strings.TrimSuffix(filepath.Base(in.Plan.Model.Path), ".gguf"))
}

func (in Input) title() string {
	if in.Pruned != nil {
		if in.Pruned.Meta.Name != "" {
			return clean(in.Pruned.Meta.Name)
		}
		return clean(strings.TrimSuffix(filepath.Base(in.Pruned.Path), ".gguf"))
	}
	return in.sourceName() + ", pruned"
}

func (in Input) subtitle() string {
	p := in.Plan
	blocks, of, narrow := p.Mask(in.steps()).Len(), len(p.Model.Blocks), in.narrowed().FFNs
	switch {
	case narrow > 0 && blocks > 0 && in.Pruned == nil:
		return fmt.Sprintf("A plan that removes %d of the %d attention and FFN blocks of %s, and narrows %s", blocks, of, in.sourceName(), plural(narrow, "FFN"))
	case narrow > 0 && blocks > 0:
		return fmt.Sprintf("%s without %d of its %d attention and FFN blocks, and with %s", in.sourceName(), blocks, of, plural(narrow, "narrower FFN"))
	case narrow > 0 && in.Pruned == nil:
		return fmt.Sprintf("A plan that narrows %s of %s", plural(narrow, "FFN"), in.sourceName())
	case narrow > 0:
		return fmt.Sprintf("%s with %s", in.sourceName(), plural(narrow, "narrower FFN"))
	case in.Pruned == nil:
		return fmt.Sprintf("A plan that removes %d of the %d attention and FFN blocks of %s", blocks, of, in.sourceName())
	}
	return fmt.Sprintf("%s without %d of its %d attention and FFN blocks", in.sourceName(), blocks, of)
}

// params is how many parameters are left: of the file, or, where there is none yet, of the whole model without what the steps remove.
func (in Input) params() uint64 {
	if in.Pruned != nil {
		return in.Pruned.Params
	}
	return in.Plan.Model.Params - in.Plan.Steps[in.steps()-1].ParamsRemoved
}

// gone is the part of the whole model's parameters that are not left.
func (in Input) gone() float64 {
	return 1 - float64(in.params())/float64(in.Plan.Model.Params)
}

// figures are the numbers at the top: what was saved and what it cost.
func (in Input) figures() []figure {
	p, k := in.Plan, in.steps()
	if k == 0 {
		return []figure{{"0", "blocks removed", "the plan has no step"}}
	}
	s := p.Steps[k-1]
	var out []figure
	size := s.Size
	if in.Pruned != nil {
		size = in.Pruned.Bytes
	}
	if size > 0 {
		out = append(out, figure{format.Size(size), "file size", "was " + format.Size(p.Model.Size)})
	}
	out = append(out, figure{percent(in.gone()), "of the parameters gone", fmt.Sprintf("%s left of %s", format.Count(in.params()), format.Count(p.Model.Params))})
	if n := in.narrowed(); n.FFNs > 0 {
		out = append(out, n.figure())
	}
	if s.Speedup > 0 {
		out = append(out, figure{fmt.Sprintf("×%.2f", s.Speedup), "speed of generation", "predicted from single tokens on the machine that searched"})
	}
	estimated := s.Sequences() > 0
	if isKLD(p) {
		return append(out, figure{scoreText(s.Score, estimated), "nats KL divergence", "mean, to the whole model, on the calibration text"})
	}
	if held := in.heldBack(); held != nil {
		return append(out, figure{change(false, held.before, held.after), "perplexity", held.text()})
	}
	return append(out, figure{
		change(false, p.Base, s.Score), "perplexity",
		fmt.Sprintf("%s, was %s, on the calibration text", scoreText(s.Score, estimated), scoreText(p.Base, false)),
	})
}

// notes are what the reader should know before believing the figures.
func (in Input) notes() []string {
	var out []string
	switch narrow := in.narrowed().FFNs > 0; {
	case len(in.Measured) > 0:
	case narrow:
		out = append(out, "Text that is unlike what the channels were fitted on suffers more: measure on your own before you decide. The scores of steps are of the calibration text.")
	default:
		out = append(out, "The scores are of the calibration text, on which the blocks were chosen. Other text suffers more: measure on your own before you decide.")
	}
	if in.steps() < len(in.Plan.Steps) {
		out = append(out, fmt.Sprintf("The plan goes on to step %d; this report is of its first %s.", len(in.Plan.Steps), plural(in.steps(), "step")))
	}
	if in.Pruned == nil {
		out = append(out, "No file was written yet: sizes and speeds are predictions.")
	} else if in.Check == nil {
		out = append(out, "This report knows of no check of the written file.")
	}
	if in.Pruned != nil && in.Pruned.Layout == "zeros" {
		out = append(out, "The file has the layout zeros: it is smaller, but no faster than the original.")
	}
	return out
}

// stepTable lists the plan's steps.
func (in Input) stepTable() stepTable {
	p := in.Plan
	t := stepTable{Metric: shortMetric(p), Ratio: !isKLD(p)}
	for _, s := range p.Steps {
		t.Speed, t.Size, t.Estimated = t.Speed || s.Speedup > 0, t.Size || s.Size > 0, t.Estimated || s.Sequences() > 0
	}
	t.Rows = []stepRow{{Removed: "nothing", Score: scoreText(p.Base, false), Gone: percent(0), Size: format.Size(p.Model.Size)}}
	before := p.Base
	for k, s := range p.Steps {
		row := stepRow{
			Index: k + 1, Removed: maskText(s.Removed, maxRemoved), Score: scoreText(s.Score, s.Sequences() > 0), Gone: percent(s.Ratio),
			Change: change(isKLD(p), before, s.Score), Beyond: k >= in.steps(),
		}
		if t.Ratio {
			row.Ratio = fmt.Sprintf("×%.3f", s.Score/p.Base)
		}
		if s.Size > 0 {
			row.Size = format.Size(s.Size)
		}
		if s.Speedup > 0 {
			row.Speed = fmt.Sprintf("×%.2f", s.Speedup)
		}
		t.Rows, before = append(t.Rows, row), s.Score
	}
	return t
}

// cleanTables are the tables with rows as long as their heads.
func (in Input) cleanTables() []Table {
	var out []Table
	for _, t := range in.Tables {
		c := Table{Title: clean(t.Title), Caption: clean(t.Caption), Note: clean(t.Note)}
		for _, head := range t.Columns {
			c.Columns = append(c.Columns, clean(head))
		}
		for _, r := range t.Rows {
			row := Row{Label: clean(r.Label), Cells: make([]string, len(t.Columns))}
			for i := range min(len(r.Cells), len(t.Columns)) {
				row.Cells[i] = clean(r.Cells[i])
			}
			c.Rows = append(c.Rows, row)
		}
		out = append(out, c)
	}
	return out
}

// verdict compares the pruned model with the rival; "" where one of them was not measured. The two errors are taken as
// independent. They are of the same text, so that the true one is smaller, and a difference called clear is one.
func (in Input) verdict() string {
	for _, t := range in.Tables {
		if t.Note != "" {
			return "" // one who has seen more than perplexities has judged
		}
	}
	pruned, ok := in.written()
	rival, found := in.measured(Rival)
	if !ok || !found || pruned.PPL <= 0 || rival.PPL <= 0 {
		return ""
	}
	d, noise := pruned.PPL-rival.PPL, math.Hypot(pruned.StdErr, rival.StdErr)
	text := fmt.Sprintf("The pruned model (%s) has perplexity %s; the unpruned model in a smaller quantisation, %s (%s), has %s. ",
		format.Size(pruned.Bytes), withError("%.3f", pruned.PPL, pruned.StdErr), clean(rival.Name), format.Size(rival.Bytes), withError("%.3f", rival.PPL, rival.StdErr))
	switch {
	case !(pruned.StdErr > 0 && rival.StdErr > 0):
		text += "Their standard errors are unknown: on this text neither is shown to be better."
	case math.Abs(d) <= 2*noise:
		text += "The difference is within two standard errors: on this text neither is shown to be better."
	case d < 0:
		text += "On this text, pruning is the better buy."
	default:
		text += "On this text, the smaller quantisation is the better buy."
	}
	if pruned.Speed > 0 && rival.Speed > 0 {
		text += fmt.Sprintf(" They generate %.1f and %.1f tokens per second.", pruned.Speed, rival.Speed)
	}
	if rival.Note != "" {
		text += " " + clean(rival.Note)
	}
	return text
}

// shellLine writes a command line as a shell takes it.
func shellLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = format.Shell(a)
	}
	return visible(strings.Join(words, " "))
}
