package realbench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
)

// makeAll makes the files that are not there.
func (b *bench) makeAll(ctx context.Context) error {
	for _, ratio := range b.ratios {
		for _, method := range b.methods {
			_, err := b.make(ctx, method, ratio)
			if err := b.failing(ctx, fmt.Sprintf("%s at %s", method, percent(ratio)), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// make makes a method's file, unless it is there.
func (b *bench) make(ctx context.Context, method string, ratio float64) (*made, error) {
	k, ok := b.makes(method, ratio)
	if !ok {
		return nil, errors.New("there is no pruned file of this ratio to be as large as; make one")
	}
	if m := b.found(method, ratio); m != nil && b.there(m) {
		return m, nil
	}
	fmt.Fprintf(os.Stderr, "## %s at %s\n", method, percent(ratio))
	m := &made{File: fmt.Sprintf("%s-%s-%s-%s.gguf", b.label, method, strings.TrimSuffix(percent(ratio), "%"), k.short())}
	var err error
	switch method {
	case quant, quantOut:
		err = b.quantize(ctx, k, m)
	case repaired:
		err = b.repair(ctx, k, m)
	default:
		err = b.prune(ctx, k, m)
	}
	if err != nil {
		return nil, err
	}
	return m, b.add(k, m)
}

// prune runs prune as k says.
func (b *bench) prune(ctx context.Context, k key, m *made) error {
	file := filepath.Join(b.folder, m.File)
	m.Plan = strings.TrimSuffix(m.File, ".gguf") + ".plan.json"
	args := []string{
		"prune", "--model", b.model, "--ratio", strconv.FormatFloat(k.Ratio, 'g', -1, 64), "--output", file,
		"--plan", filepath.Join(b.folder, m.Plan), "--no-compare", "--force",
	}
	if k.Method == width {
		return b.pruning(ctx, k, m, append(append(args, "--kind", "auto"), b.fitArgs()...))
	}
	args = append(args, "--kind", "mix", "--strategy", "fast", "--repair", "off")
	if b.time != "" {
		args = append(args, "--time", b.time)
	}
	if b.chunks > 0 {
		args = append(args, "--chunks", strconv.Itoa(b.chunks))
	}
	if b.fit != "" {
		dir, err := b.temporary()
		if err != nil {
			return err
		}
		calib, err := measure.Calibration(b.fit, filepath.Join(dir, "calibration.jsonl"))
		if err != nil {
			return err
		}
		args = append(args, "--file", calib)
	}
	return b.pruning(ctx, k, m, args)
}

// fitArgs say what a fit sees. What the user does not say stays out of it: prune knows best what it does by default.
func (b *bench) fitArgs() (args []string) {
	if b.fit != "" {
		for path := range strings.SplitSeq(b.fit, ",") {
			args = append(args, "--repair-text", path)
		}
	}
	if b.tokens > 0 {
		args = append(args, "--repair-tokens", strconv.Itoa(b.tokens))
	}
	return args
}

// repair applies the plan of the method blocks with a repair. The search is part of the job, so what that took counts, too.
func (b *bench) repair(ctx context.Context, k key, m *made) error {
	search, err := b.make(ctx, blocks, k.Ratio)
	if err != nil {
		return err
	}
	args := []string{
		"apply", "--model", b.model, "--plan", filepath.Join(b.folder, search.Plan), "--output", filepath.Join(b.folder, m.File), "--repair", "auto", "--force",
	}
	if err := b.pruning(ctx, k, m, append(args, b.fitArgs()...)); err != nil {
		return err
	}
	m.Took = plus(m.Took, search.Took)
	m.More = m.More || search.More
	return nil
}

// plus is what two jobs one after the other take.
func plus(a, b measure.Usage) measure.Usage {
	return measure.Usage{CPU: a.CPU + b.CPU, RSS: max(a.RSS, b.RSS), Wall: a.Wall + b.Wall}
}

// pruning runs a command that writes m.File, and fills m in. What an attempt took that was interrupted counts, since this one goes on from
// there.
func (b *bench) pruning(ctx context.Context, k key, m *made, args []string) error {
	spent := k
	spent.Part = "spent"
	file := filepath.Join(b.folder, m.File)
	repairLog, _ := repairlog.Paths(file)
	var before measure.Usage
	if exists(repairLog) || m.Plan != "" && exists(filepath.Join(b.folder, m.Plan)+".journal") {
		m.More = len(b.all(spent)) == 0
		for _, raw := range b.all(spent) {
			var u measure.Usage
			if err := json.Unmarshal(raw, &u); err != nil {
				return err
			}
			before = plus(before, u)
		}
	}
	out, u, err := b.command(ctx, args...)
	if err != nil {
		if u.CPU > 0 {
			err = errors.Join(err, b.add(spent, u))
		}
		return err
	}
	m.Took = plus(before, u)
	return m.read(out)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// read takes out of what prune or apply printed what the table wants.
func (m *made) read(printed string) error {
	var got struct {
		Mask   any
		Output *struct {
			Bytes  int64
			SHA256 string
			Params uint64
			Gone   float64 `json:"params_removed_ratio"`
		}
		Steps  []struct{}
		Shapes []struct {
			Name, Keeps string
			Chosen      bool
		}
	}
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		return fmt.Errorf("what it printed is no JSON: %w", err)
	}
	if got.Output == nil || got.Output.SHA256 == "" {
		return errors.New("it printed nothing of a file")
	}
	m.Bytes, m.SHA256, m.Params, m.Gone, m.Mask = got.Output.Bytes, got.Output.SHA256, got.Output.Params, got.Output.Gone, got.Mask
	for _, s := range got.Shapes {
		if s.Chosen {
			m.What = fmt.Sprintf("%s, %s", s.Name, s.Keeps)
		}
	}
	if text, ok := got.Mask.(string); ok && m.What == "" {
		m.What = cmp.Or(text, "nothing")
	}
	return nil
}

// quantize makes the best quantisation of the original that is as small as k says.
func (b *bench) quantize(ctx context.Context, k key, m *made) error {
	limit, err := strconv.ParseInt(k.Settings["limit"], 10, 64)
	if err != nil {
		return err
	}
	f, err := source.OpenFile(b.model)
	if err != nil {
		return err
	}
	defer f.Close()
	quants, err := compare.Quants(ctx, llamabind.Runtime{}, f, limit)
	if err != nil {
		return err
	}
	path := filepath.Join(b.folder, m.File)
	for _, q := range quants {
		if small := q.Output != nil || q.Embeddings != nil; small != (k.Method == quantOut) {
			continue
		}
		args := []string{"quantize", b.model, path, q.Type, "--allow-requantize", "--force"}
		if q.Output != nil {
			args = append(args, "--output-tensor-type", q.Output.Name())
		}
		if q.Embeddings != nil {
			args = append(args, "--token-embedding-type", q.Embeddings.Name())
		}
		out, u, err := b.command(ctx, args...)
		if err != nil {
			return err
		}
		m.Took = plus(m.Took, u)
		var got struct {
			Bytes  int64
			Params uint64
			SHA256 string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			return fmt.Errorf("what it printed is no JSON: %w", err)
		}
		if got.Bytes > limit { // by some metadata
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		m.Bytes, m.Params, m.SHA256, m.Type = got.Bytes, got.Params, got.SHA256, q.Name
		return nil
	}
	m.None = fmt.Sprintf("none that needs no importance matrix fits into %s", mib(limit))
	if k.Method == quantOut {
		m.None += ", even with a smaller matrix at the output"
	}
	return nil
}
