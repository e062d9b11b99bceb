package realbench

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

// printTable prints the table in Markdown, and the figures.
func (b *bench) printTable(context.Context) error {
	rows := b.rows()
	b.write(os.Stdout, rows)
	if lines := b.figures(rows); len(lines) > 0 {
		fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	}
	return nil
}

var columns = []string{
	"parameters gone", "how", "file", "perplexity", "KLD", "acc", "acc_norm", "generates", "reads", "context", "CPU s", "peak memory",
}

// write writes the table with what stands above and below it.
func (b *bench) write(w io.Writer, rows []row) {
	fmt.Fprintf(w, "%s, %s parameters. %s\n\n", b.modelName(), count(b.params), b.conditions(rows, true))
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(columns, " | "), "---|---|"+strings.Repeat("--:|", len(columns)-2))
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(b.cells(r, rows), " | "))
	}
	var notes []string
	for _, r := range rows {
		if r.made != nil && r.made.What != "" {
			notes = append(notes, fmt.Sprintf("- %s: %s", r.name(), r.made.What))
		}
	}
	for _, ratio := range b.ratios {
		for _, method := range b.methods {
			if m := b.found(method, ratio); m != nil && m.None != "" {
				notes = append(notes, fmt.Sprintf("- quantisations beside %s: %s", percent(ratio), m.None))
			}
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "\nWhat went, and what there is not:\n\n%s\n", strings.Join(notes, "\n"))
	}
}

// conditions say on what was measured, in sentences: what the picture shows, or all.
func (b *bench) conditions(rows []row, all bool) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r := first(rows, func(r row) bool { return r.ppl != nil }); r != nil {
		say("Perplexity: %s, %d windows of %d tokens.", filepath.Base(b.text), r.ppl.Windows, b.window)
	}
	if r := first(rows, func(r row) bool { return r.kld != nil }); r != nil && all {
		say("KLD from the original, in nats: %d windows of these.", r.kld.Windows)
	}
	if r := first(rows, func(r row) bool { return r.acc != nil }); r != nil {
		items := "all items"
		if b.items > 0 {
			items = fmt.Sprintf("the first %d items of each", b.items)
		}
		say("Accuracy, in per cent: mean of the tasks, %s.", items)
	}
	if r := first(rows, func(r row) bool { return r.pace != nil }); r != nil {
		say("Speeds with %d threads of %s: medians of %d turns, %d tokens generated", b.threads, r.pace.Machine, b.repeats, measure.SpeedGenerate)
		if all {
			out[len(out)-1] += fmt.Sprintf(", %d read. Context: memory for %d tokens", measure.SpeedPrompt, b.window)
		}
		out[len(out)-1] += "."
	}
	if !all {
		say("Bars are one standard error; per cent at points are of the parameters that are gone.")
		if r := first(rows, func(r row) bool { return r.made != nil && strings.HasSuffix(shortType(r.made.Type), "*") }); r != nil {
			_, with, _ := strings.Cut(r.made.Type, " ")
			say("*: %s.", with)
		}
		return strings.Join(out, " ")
	}
	say("With ±: one standard error. CPU seconds and memory are those of the whole job; a repair's have its search in them.")
	if first(rows, func(r row) bool { return r.made != nil && r.made.More }) != nil {
		say("With ≥: an attempt before was ended without saying what it took.")
	}
	return strings.Join(out, " ")
}

// first is the first row that something is true of, or nil.
func first(rows []row, of func(row) bool) *row {
	if i := slices.IndexFunc(rows, of); i >= 0 {
		return &rows[i]
	}
	return nil
}

// cells are a row's.
func (b *bench) cells(r row, rows []row) []string {
	const unknown = "–"
	cells := []string{"none", "original", mib(b.bytesOf(r.subject))}
	if r.made != nil {
		cells[0], cells[1] = fmt.Sprintf("%.1f%%", 100*r.made.Gone), r.title()
		if r.method == quant || r.method == quantOut {
			cells[0] = "none"
		}
		if r.method == width {
			cells[1] = "**" + cells[1] + "**"
		}
	}
	for _, e := range []struct {
		e      *estimate
		format string
	}{{r.ppl, "%.2f"}, {r.kld, "%.3f"}} {
		switch {
		case e.e != nil:
			cells = append(cells, e.e.text(e.format))
		case r.made == nil && e.format == "%.3f":
			cells = append(cells, "0")
		default:
			cells = append(cells, unknown)
		}
	}
	for _, d := range []*measure.Drop{r.acc, r.norm} {
		if d == nil {
			cells = append(cells, unknown)
			continue
		}
		cells = append(cells, fmt.Sprintf("%.1f ± %.1f", 100*d.After, 100*d.AfterErr))
	}
	generates, reads, memory := unknown, unknown, unknown
	switch base := baseline(rows); {
	case r.pace != nil:
		generates, reads = fmt.Sprintf("×%.2f", r.pace.Generate), fmt.Sprintf("×%.2f", r.pace.Prompt)
		memory = fmt.Sprintf("×%.2f", float64(r.pace.Memory)/float64(r.pace.BaseMemory))
	case r.made == nil && base != nil:
		generates, reads, memory = perSecond(base.BaseGenerate), perSecond(base.BasePrompt), mib(base.BaseMemory)
	}
	cells = append(cells, generates, reads, memory)
	if r.made == nil {
		return append(cells, "", "")
	}
	least := ""
	if r.made.More {
		least = "≥ "
	}
	return append(cells, fmt.Sprintf("%s%.0f", least, r.made.Took.CPU), fmt.Sprintf("%.0f MiB", r.made.Took.RSS))
}

// baseline is what was measured of the original beside the others: medians of those.
func baseline(rows []row) *pace {
	var generate, prompt []float64
	var out pace
	for _, r := range rows {
		if r.pace != nil {
			generate, prompt = append(generate, r.pace.BaseGenerate), append(prompt, r.pace.BasePrompt)
			out.BaseMemory = r.pace.BaseMemory
		}
	}
	if len(generate) == 0 {
		return nil
	}
	out.BaseGenerate, out.BasePrompt = measure.Median(generate), measure.Median(prompt)
	return &out
}

// text is the number with its error.
func (e estimate) text(format string) string {
	mean, err := float64(e.Mean), float64(e.StdErr)
	switch {
	case math.IsInf(mean, 0):
		return "∞"
	case mean >= 1000:
		format = "%.0f"
	}
	if math.IsInf(err, 0) {
		return fmt.Sprintf(format, mean)
	}
	return fmt.Sprintf(format+" ± "+format, mean, err)
}

// perSecond writes tokens per second.
func perSecond(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.1f/s", x)
	}
	return fmt.Sprintf("%.0f/s", x)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// count writes a number of parameters.
func count(n uint64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2fB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.1fM", float64(n)/1e6)
}

// shortType is what a label calls a quantisation; the star is what [bench.conditions] explains.
func shortType(name string) string {
	typ, more, _ := strings.Cut(name, " ")
	if more != "" {
		typ += "*"
	}
	return typ
}
