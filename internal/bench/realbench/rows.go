package realbench

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

// row is all that is known of a file; what was not measured is nil.
type row struct {
	subject
	ppl, kld, short *estimate
	acc, norm       *measure.Drop // beside the original
	pace            *pace
}

// rows are those of the table, the original first.
func (b *bench) rows() []row {
	tasks := b.latestTasks()
	var whole answers
	var out []row
	for _, s := range b.subjects() {
		r := row{subject: s}
		r.ppl = lookup[estimate](b, "ppl", s, b.onWindows(b.window, b.windows))
		if set := b.shortSettings(); set != nil {
			r.short = lookup[estimate](b, "ppl", s, set)
		}
		r.kld = lookup[estimate](b, "kld", s, b.onWindows(b.window, b.kldWindows))
		for _, set := range b.speedSettings(s) {
			r.pace = lookup[pace](b, "speed", s, set)
		}
		if tasks != nil {
			if a := lookup[answers](b, "tasks", s, tasks); a != nil {
				if s.method == original {
					whole = *a
				}
				r.acc, r.norm = drops(whole, *a)
			}
		}
		out = append(out, r)
	}
	return out
}

// latestTasks are the settings of the tasks as they are now; nil where they cannot be read.
func (b *bench) latestTasks() settings {
	files, err := measure.TaskFiles(b.tasks)
	if err != nil {
		return nil
	}
	set, err := b.taskSettings(files)
	if err != nil {
		return nil
	}
	return set
}

// lookup is a result of a subject, or nil.
func lookup[T any](b *bench, part string, s subject, set settings) *T {
	v := new(T)
	if !b.find(b.measured(part, s, set), v) {
		return nil
	}
	return v
}

// drops compare answers with the original's, by acc and by acc_norm; nil where the two did not answer the same.
func drops(whole, a answers) (acc, norm *measure.Drop) {
	if !slices.Equal(whole.Tasks, a.Tasks) {
		return nil, nil
	}
	byAcc, byNorm := measure.MeanDrop(whole.Acc, a.Acc), measure.MeanDrop(whole.Norm, a.Norm)
	return &byAcc, &byNorm
}

// figures are lines for programs, of the files that prune makes by default.
func (b *bench) figures(rows []row) (lines []string) {
	if len(rows) == 0 {
		return nil
	}
	add := func(ratio float64, name string, value float64) {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			lines = append(lines, fmt.Sprintf("figure real_%s_%02.0f_%s %.4f", b.label, 100*ratio, name, value))
		}
	}
	whole := rows[0]
	for _, r := range rows {
		if r.method != width {
			continue
		}
		if r.short != nil && whole.short != nil {
			add(r.ratio, "ppl_ratio", float64(r.short.Mean)/float64(whole.short.Mean))
		}
		if r.acc != nil {
			add(r.ratio, "acc_drop", 100*r.acc.Drop)
			add(r.ratio, "acc_drop_stderr", 100*r.acc.DropErr)
			add(r.ratio, "acc_norm_drop", 100*r.norm.Drop)
		}
		if r.pace != nil {
			add(r.ratio, "speed", r.pace.Generate)
			add(r.ratio, "speed_prompt", r.pace.Prompt)
		}
	}
	return lines
}

// modelName is what captions call the model.
func (b *bench) modelName() string { return filepath.Base(b.model) }
