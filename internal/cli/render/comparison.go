package render

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// Comparison prints the models as columns, what was measured of them as rows, and the JSON object. Digits are llama-perplexity's.
func Comparison(u *ui.UI, c *compare.Comparison) error {
	printTable(u, ComparisonTable(c))
	return u.JSON(compareJSON{Command: "compare", Comparison: newComparisonJSON(c)})
}

// inBrief are the rows of a comparison that prune prints at its end, where all must fit a screen.
var inBrief = []string{"PPL", "KLD mean", "same top token", "file", "generated tokens/s", "KV cache per 1k tokens"}

// printBriefly prints the rows that matter most; the report, --json and ggufprune compare have them all.
func printBriefly(u *ui.UI, c *compare.Comparison) {
	t := ComparisonTable(c)
	t.Caption = c.Text
	t.Rows = slices.DeleteFunc(t.Rows, func(r page.Row) bool {
		name, _, _ := strings.Cut(r.Label, " (")
		return !slices.Contains(inBrief, name)
	})
	printTable(u, t)
}

func printTable(u *ui.UI, t page.Table) {
	columns := []ui.Column{{Head: ""}}
	for _, head := range t.Columns {
		columns = append(columns, ui.Column{Head: head, Number: true})
	}
	var rows [][]any
	for _, r := range t.Rows {
		row := []any{r.Label}
		for _, cell := range r.Cells {
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	u.Table(t.Title+": "+t.Caption, columns, rows)
	if t.Note != "" {
		u.Resultf("%s", t.Note)
	}
}

// ComparisonTable is what the terminal and the report's page show of a comparison.
func ComparisonTable(c *compare.Comparison) page.Table {
	t := page.Table{
		Title:   "Comparison",
		Caption: fmt.Sprintf("%s, -c %d -b %d -ub %d --chunks %d, %d positions", c.Text, c.Context, c.Batch, c.UBatch, c.Windows, c.Positions),
		Note:    c.Verdict,
	}
	for _, r := range c.Rows {
		t.Columns = append(t.Columns, shorten(r.Label))
	}
	line := func(name string, cell func(r compare.Row) string) {
		row, empty := page.Row{Label: name}, true
		for _, r := range c.Rows {
			text := cell(r)
			row.Cells, empty = append(row.Cells, text), empty && text == ""
		}
		if !empty {
			t.Rows = append(t.Rows, row)
		}
	}
	qualityLines(line)
	sizeLines(line)
	speedLines(line, c.Speed)
	return t
}

// Measured is what the report's page draws of a comparison at the end of prune.
func Measured(c *compare.Comparison) []page.Measured {
	var out []page.Measured
	for i, r := range c.Rows {
		m := page.Measured{Role: page.Pruned, Name: r.Label, Bytes: r.Bytes, PPL: r.PPL.Value}
		if jsonnum.Finite(r.PPL.StdErr) {
			m.StdErr = r.PPL.StdErr
		}
		switch {
		case i == 0:
			m.Role = page.Original
		case c.Rival != nil && c.Rival.Type != "" && i == len(c.Rows)-1:
			m.Role, m.Note = page.Rival, c.Rival.Note
		case r.Pruned == compare.Repaired:
			m.Role = page.Repaired
		}
		if r.KL != nil {
			m.KLD = r.KL.KLD.Value
		}
		if r.Speed != nil {
			m.Speed = r.Speed.Generate.Mean
		}
		out = append(out, m)
	}
	return out
}

// lines adds a row to the table; cell returns what it says of a model, "" for nothing.
type lines func(name string, cell func(r compare.Row) string)

func qualityLines(line lines) {
	line("PPL", func(r compare.Row) string { return plusMinus("%.6f", r.PPL, 1, "") })
	kl := func(name string, cell func(k *kld.Report) string) {
		line(name, func(r compare.Row) string {
			if r.KL == nil {
				return ""
			}
			return cell(r.KL)
		})
	}
	kl("PPL ratio", func(k *kld.Report) string { return plusMinus("%.6f", k.Ratio, 1, "") })
	kl("ln PPL ratio", func(k *kld.Report) string { return plusMinus("%.6f", k.LnRatio, 1, "") })
	kl("correlation of ln PPL", func(k *kld.Report) string { return fmt.Sprintf("%.2f%%", 100*k.Correlation) })
	kl("KLD mean", func(k *kld.Report) string { return plusMinus("%.6f", k.KLD, 1, "") })
	for _, q := range []struct {
		name string
		of   func(q kld.Quantiles) float64
	}{
		{"KLD median", func(q kld.Quantiles) float64 { return q.Median }},
		{"KLD 99%", func(q kld.Quantiles) float64 { return q.P99 }},
		{"KLD 99.9%", func(q kld.Quantiles) float64 { return q.P999 }},
		{"KLD max", func(q kld.Quantiles) float64 { return q.Max }},
	} {
		kl(q.name, func(k *kld.Report) string { return fmt.Sprintf("%.6f", q.of(k.KLDs)) })
	}
	kl("mean change of p", func(k *kld.Report) string { return plusMinus("%.3f", k.DeltaP, 100, "%") })
	kl("RMS change of p", func(k *kld.Report) string { return plusMinus("%.3f", k.RMSDeltaP, 100, "%") })
	kl("same top token", func(k *kld.Report) string { return plusMinus("%.3f", k.SameTop, 100, "%") })
}

func sizeLines(line lines) {
	model := func(name string, cell func(r compare.Row) string) {
		line(name, func(r compare.Row) string {
			if r.Arch == "" { // a base file
				return ""
			}
			return cell(r)
		})
	}
	model("file", func(r compare.Row) string { return format.Size(r.Bytes) })
	model("parameters", func(r compare.Row) string { return format.Count(r.Params) })
	model("pruning", func(r compare.Row) string { return r.Pruned })
	model("type", func(r compare.Row) string { return r.Type })
}

func speedLines(line lines, t *compare.SpeedTest) {
	if t == nil {
		return
	}
	speed := func(name string, cell func(s *compare.Speed) string) {
		line(name, func(r compare.Row) string {
			if r.Speed == nil {
				return ""
			}
			return cell(r.Speed)
		})
	}
	ratio := func(r compare.Rate) string {
		if r.Repeats == 0 {
			return ""
		}
		return fmt.Sprintf("x%.2f +/- %.2f", r.Mean, r.StdDev)
	}
	rate := func(r compare.Rate) string { return fmt.Sprintf("%.2f +/- %.2f", r.Mean, r.StdDev) }
	speed(fmt.Sprintf("prompt tokens/s (pp%d)", t.Prompt), func(s *compare.Speed) string { return rate(s.Prompt) })
	speed("  in turns with the first", func(s *compare.Speed) string { return ratio(s.PromptRatio) })
	speed(fmt.Sprintf("generated tokens/s (tg%d)", t.Generate), func(s *compare.Speed) string { return rate(s.Generate) })
	speed("  in turns with the first", func(s *compare.Speed) string { return ratio(s.GenerateRatio) })
	speed("KV cache per 1k tokens", func(s *compare.Speed) string { return fmt.Sprintf("%.2f MiB", float64(s.KVPer1k)/(1<<20)) })
	speed("load time", func(s *compare.Speed) string { return fmt.Sprintf("%.2f s", s.Load.Round(time.Millisecond).Seconds()) })
}

// plusMinus prints a mean and its error with the same digits, both times scale; an unknown error is left out.
func plusMinus(format string, m kld.Mean, scale float64, unit string) string {
	if math.IsNaN(m.StdErr) {
		return fmt.Sprintf(format, scale*m.Value) + unit
	}
	return fmt.Sprintf(format+" +/- "+format, scale*m.Value, scale*m.StdErr) + unit
}

// longestLabel in characters still leaves three models side by side on a terminal.
const longestLabel = 28

// shorten cuts the middle out of a label: models differ at the end, and often in front.
func shorten(label string) string {
	r := []rune(strings.TrimSuffix(label, ".gguf"))
	if len(r) <= longestLabel {
		return string(r)
	}
	half := (longestLabel - 2) / 2
	return string(r[:half]) + ".." + string(r[len(r)-half:])
}
