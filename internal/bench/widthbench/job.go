package widthbench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/search/plan"
)

// pruneJob is `ggufprune prune` with its defaults, from the model to the checked file.
func pruneJob(ctx context.Context, o options) error {
	file, err := o.destination("")
	if err != nil {
		return err
	}
	if err := o.job(ctx, file, o.label, "width", nil); err != nil {
		return err
	}
	o.run.pruned = file
	return nil
}

// blocksJob is the same with whole blocks: a race, and a repair. The search scores on the texts of the fit.
func blocksJob(ctx context.Context, o options) error {
	file, err := o.destination("-blocks")
	if err != nil {
		return err
	}
	extra, err := o.blocksArgs()
	if err != nil {
		return err
	}
	return o.job(ctx, file, join(o.label, "blocks"), "width_blocks", extra)
}

// blocksArgs is what such a job says beyond the ratio and the texts.
func (o options) blocksArgs() ([]string, error) {
	extra := []string{"--kind", "mix", "--strategy", "fast", "--repair", "auto"}
	if o.chunks > 0 {
		extra = append(extra, "--chunks", strconv.Itoa(o.chunks))
	}
	if o.fitTexts == "" {
		return extra, nil
	}
	dir, err := o.run.temporary()
	if err != nil {
		return nil, err
	}
	calib, err := measure.Calibration(o.fitTexts, filepath.Join(dir, "calibration.jsonl"))
	return append(extra, "--file", calib), err
}

// destination is where a part's file goes.
func (o options) destination(suffix string) (string, error) {
	if o.output != "" {
		return strings.TrimSuffix(o.output, ".gguf") + suffix + ".gguf", nil
	}
	dir, err := o.run.temporary()
	return filepath.Join(dir, "pruned"+suffix+".gguf"), err
}

// job prunes to file, judges both files and prints the figures. label stands in the names of those of quality, cost begins the names
// of the others.
func (o options) job(ctx context.Context, file, label, cost string, extra []string) error {
	texts, err := o.judges()
	if err != nil {
		return err
	}
	dir, err := o.run.temporary()
	if err != nil {
		return err
	}
	planPath := filepath.Join(dir, filepath.Base(file)+".plan.json")
	var whole []verdict // before the job, so that a text that is too short shows at once
	peak := math.Inf(1) // of the text that takes the least: a long one is tokenised as a whole
	for _, t := range texts {
		v, err := o.judgeFile(ctx, o.model, t)
		if err != nil {
			return err
		}
		whole = append(whole, v)
		peak = math.Min(peak, v.usage.RSS)
	}
	before, err := o.passCost(ctx)
	if err != nil {
		return err
	}
	u, err := o.command(ctx, os.Stderr, o.pruneArgs(file, planPath, extra)...)
	if err != nil {
		return err
	}
	after, err := o.passCost(ctx)
	if err != nil {
		return err
	}
	p, err := planfile.Read(planPath)
	if err != nil {
		return err
	}
	o.run.plan = planPath
	positions, err := fitPositions(file)
	if err != nil {
		return err
	}
	describe(o.model, file, p)
	onePass := (before + after) / 2 * float64(positions)
	fmt.Printf("the whole job: %.1f CPU s, peak memory %.0f MiB; a perplexity of the original: %.0f MiB\n", u.CPU, u.RSS, peak)
	fmt.Printf("a pass of the fit's %d positions through the original: %.1f CPU s (%.1f and %.1f, timed before and after on a part)\n",
		positions, onePass, before*float64(positions), after*float64(positions))
	var lines []string
	for i, t := range texts {
		v, err := o.judgeFile(ctx, file, t)
		if err != nil {
			return err
		}
		ratio := v.ppl / whole[i].ppl
		fmt.Printf("%s: PPL %.4f -> %.4f, x%.4f\n", t.path, whole[i].ppl, v.ppl, ratio)
		lines = append(lines, fmt.Sprintf("figure %s %.4f", join("width", o.percent(), label, t.name, "ratio"), ratio))
	}
	lines = append(lines, fmt.Sprintf("figure %s_cost_passes %.2f", cost, u.CPU/onePass),
		fmt.Sprintf("figure %s_extra_rss_mb %.0f", cost, (u.RSS-peak)*(1<<20)/1e6))
	fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	return nil
}

// pruneArgs is the command line of a job. What the user does not say stays out of it: prune knows best what it does by default.
func (o options) pruneArgs(file, planPath string, extra []string) []string {
	args := []string{
		"prune", "--model", o.model, "--ratio", strconv.FormatFloat(o.ratio, 'g', -1, 64), "--threads", strconv.Itoa(o.threads),
		"--output", file, "--plan", planPath, "--no-compare",
	}
	if o.fitTexts != "" {
		for path := range strings.SplitSeq(o.fitTexts, ",") {
			args = append(args, "--repair-text", path)
		}
	}
	if o.given["tokens"] {
		args = append(args, "--repair-tokens", strconv.Itoa(o.tokens))
	}
	if o.given["seed"] {
		args = append(args, "--seed", strconv.FormatUint(o.seed, 10))
	}
	return append(args, extra...)
}

// join puts the parts of a figure's name together, without empty ones.
func join(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "_")
}

// fitPositions is how many positions the written file was fitted on. Where nothing was fitted, it is how many a fit takes.
func fitPositions(file string) (uint64, error) {
	f, err := gguf.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, ok, err := f.Uint("ggufprune.repair.positions")
	if err == nil && !ok {
		n = repair.DefaultTokens
	}
	return n, err
}

// describe prints what was removed, the shapes that were tried and what kinds of text lose.
func describe(model, file string, p *plan.Plan) {
	last := p.Steps[len(p.Steps)-1]
	fmt.Printf("%s -> %s: %s, %.2f%% of the parameters gone", model, filepath.Base(file), p.Settings.Unit, 100*last.Ratio)
	if info, err := os.Stat(file); err == nil {
		fmt.Printf(", %.2f MB", float64(info.Size())/1e6)
	}
	fmt.Println()
	if whole := p.Mask(len(p.Steps)).Blocks(); len(whole) > 0 {
		fmt.Printf("whole blocks gone: %d\n", len(whole))
	}
	for _, s := range p.Shapes {
		chosen := ""
		if s.Chosen {
			chosen = "  <- chosen"
		}
		fmt.Printf("  shape %-40s %6.2f%% gone, perplexity x%.4f, keeps %s%s\n", s.Name, 100*s.Ratio, math.Exp(s.Loss), s.Keeps, chosen)
	}
	for _, k := range p.Kinds {
		fmt.Printf("  kind %-30s %3d sequences held back, PPL %.3f -> %.3f, x%.3f\n", k.Name, k.Sequences, k.Before, k.After, k.After/k.Before)
	}
}
