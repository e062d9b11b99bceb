package enginebench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

// All measurements use windows of this many tokens, one per batch.
const window = 512

// usage is what a process took.
type usage struct {
	cpu    time.Duration // user and system
	rssMiB float64       // peak
	out    string        // standard output
}

// spawn runs a command to its end.
func spawn(ctx context.Context, name string, args ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out strings.Builder
	cmd.Stdout = &out
	msg, err := os.CreateTemp("", "bench-stderr-*")
	if err != nil {
		return usage{}, err
	}
	defer os.Remove(msg.Name())
	defer msg.Close()
	cmd.Stderr = msg
	if err := cmd.Run(); err != nil {
		tail, _ := os.ReadFile(msg.Name())
		return usage{}, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, tail[max(0, len(tail)-400):])
	}
	ru := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	u := usage{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rssMiB: machine.MaxRSS(ru), out: out.String()}
	return u, nil
}

func (b *bench) self(ctx context.Context, child, model, text string, n int) (usage, error) {
	return spawn(ctx, os.Args[0], "engine", "-child", child, "-model", model, "-text", text, "-n", strconv.Itoa(n), "-t", strconv.Itoa(b.threads))
}

// peer runs llama-perplexity on the same windows in the same batches.
func (b *bench) peer(ctx context.Context, model, text string, n int) (usage, error) {
	w := strconv.Itoa(window)
	return spawn(ctx, filepath.Join(b.peers, "llama-perplexity"), "-m", model, "-f", text, "-c", w, "-b", w, "-ub", w,
		"-t", strconv.Itoa(b.threads), "--chunks", strconv.Itoa(n))
}

// passes compares the CPU time of a pass with llama-perplexity's. Loading is in both, so the difference of a long and a short
// run is taken; the two programs alternate, and the median of five ratios counts.
func (b *bench) passes(ctx context.Context, model, text string) error {
	const short, long = 1, 4
	var ratios []float64
	for range 5 {
		var cpu [2]time.Duration
		for i, f := range []func(n int) (usage, error){
			func(n int) (usage, error) { return b.self(ctx, "pass", model, text, n) },
			func(n int) (usage, error) { return b.peer(ctx, model, text, n) },
		} {
			l, err := f(long)
			if err != nil {
				return err
			}
			s, err := f(short)
			if err != nil {
				return err
			}
			cpu[i] = (l.cpu - s.cpu) / (long - short)
		}
		ratios = append(ratios, cpu[0].Seconds()/cpu[1].Seconds())
		fmt.Printf("  a pass over %d tokens: %.2f CPU s, llama-perplexity %.2f\n", window, cpu[0].Seconds(), cpu[1].Seconds())
	}
	b.pass = append(b.pass, measure.Median(ratios))
	return nil
}

// memory compares the peak of a search iteration (base pass with all captures, then candidates) with llama-perplexity's.
func (b *bench) memory(ctx context.Context, model, text string) error {
	ours, err := b.self(ctx, "memory", model, text, 1)
	if err != nil {
		return err
	}
	theirs, err := b.peer(ctx, model, text, 2)
	if err != nil {
		return err
	}
	fmt.Printf("  peak memory: search %.0f MiB, llama-perplexity %.0f MiB\n", ours.rssMiB, theirs.rssMiB)
	b.rss = append(b.rss, (ours.rssMiB-theirs.rssMiB)*(1<<20)/1e6)
	return nil
}

// iteration compares one step of the search, every candidate from its boundary, with a full pass for every candidate.
func (b *bench) iteration(ctx context.Context, model, text string) error {
	u, err := b.self(ctx, "iteration", model, text, 1)
	if err != nil {
		return err
	}
	var fast, full float64
	if _, err := fmt.Sscan(u.out, &fast, &full); err != nil {
		return fmt.Errorf("iteration printed %q: %w", u.out, err)
	}
	fmt.Printf("  a search iteration over %d tokens: %.1f CPU s, with full passes %.1f\n", window, fast, full)
	b.gain = append(b.gain, full/fast)
	return nil
}

// writing compares the writer with cp, each with an fsync, on the same file; they alternate, and the median of five counts.
func (b *bench) writing(ctx context.Context, model, _ string) error {
	var ratios []float64
	for range 5 {
		cp, err := timed(func() error { return copyAndSync(model, filepath.Join(b.dir, "cp.gguf")) })
		if err != nil {
			return err
		}
		ours, err := timed(func() error { return rewrite(ctx, model, filepath.Join(b.dir, "ours.gguf")) })
		if err != nil {
			return err
		}
		ratios = append(ratios, cp.Seconds()/ours.Seconds())
	}
	fmt.Printf("  writing: %.2f of cp's speed\n", measure.Median(ratios))
	b.write = append(b.write, measure.Median(ratios))
	return nil
}

func copyAndSync(from, to string) error {
	defer os.Remove(to)
	if err := exec.Command("cp", from, to).Run(); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// rewrite writes every tensor of a model anew, as pruning does with those that stay.
func rewrite(ctx context.Context, from, to string) error {
	f, err := gguf.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	p := &gguf.Plan{Alignment: f.Alignment(), KVs: f.KVs()}
	for _, t := range f.Tensors() {
		p.Tensors = append(p.Tensors, gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)})
	}
	w, err := gguf.WriteTemp(ctx, to, p, gguf.WriteOptions{Force: true})
	if err != nil {
		return err
	}
	return w.Discard()
}

func timed(f func() error) (time.Duration, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin), err
}
