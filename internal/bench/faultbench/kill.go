package faultbench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// mostLeft is the size from which a file that a killed job leaves behind is one too many.
const mostLeft = 1 << 20

// killed counts what became of one kind of job.
type killed struct {
	kills, same, left int
	took              time.Duration // of the job that nobody disturbed
}

// kill ends jobs by SIGKILL at random moments and runs them again until they end. What they write then must be what an undisturbed job
// writes, byte for byte, and nothing large may lie beside it.
func kill(ctx context.Context, o options) error {
	rng := rand.New(rand.NewPCG(o.seed, 200))
	var sum killed
	for i, j := range o.jobs {
		wanted := o.kills*(i+1)/len(o.jobs) - o.kills*i/len(o.jobs)
		k, err := o.killJob(ctx, j, wanted, rng)
		if err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		fmt.Printf("%-9s %.1f s undisturbed; %d kills, %d ended with the same files, %d left something behind\n", j.name, k.took.Seconds(), k.kills, k.same, k.left)
		sum.kills, sum.same, sum.left = sum.kills+k.kills, sum.same+k.same, sum.left+k.left
	}
	fmt.Printf("\nfigure fault_kills %d\nfigure fault_kills_same %d\nfigure fault_kills_left %d\n", sum.kills, sum.same, sum.left)
	if sum.same != sum.kills || sum.left != 0 {
		return errors.New("killed jobs did not all end as undisturbed ones do")
	}
	return nil
}

// killJob kills a job wanted times: up to three times before it may end.
func (o options) killJob(ctx context.Context, j job, wanted int, rng *rand.Rand) (k killed, err error) {
	calm := filepath.Join(o.dir, j.name)
	begin := time.Now()
	if text, err := o.run(ctx, j, calm, 0); err != nil {
		return k, fmt.Errorf("undisturbed: %w: %s", err, text)
	}
	k.took = time.Since(begin)
	want, err := digest(calm, j.results)
	if err != nil {
		return k, err
	}
	for n := 0; k.kills < wanted; n++ {
		dir := filepath.Join(o.dir, fmt.Sprintf("%s-%d", j.name, n))
		hits := 0
		for range min(1+rng.IntN(3), wanted-k.kills) {
			if _, err := o.run(ctx, j, dir, time.Duration(rng.Float64()*float64(k.took))); errors.Is(err, errKilled) {
				hits++
			} else if err != nil {
				return k, err
			}
			if ctx.Err() != nil {
				return k, ctx.Err()
			}
			if exists(dir, j.results) {
				break // the job had ended, all but for its last words
			}
		}
		if hits == 0 {
			continue
		}
		k.kills += hits
		if !exists(dir, j.results) {
			if text, err := o.run(ctx, j, dir, 0); err != nil {
				fmt.Printf("%s %d, after %d kills: %v: %s\n", j.name, n, hits, err, text)
				continue
			}
		}
		got, err := digest(dir, j.results)
		if err != nil {
			return k, err
		}
		if bytes.Equal(got, want) {
			k.same += hits
		} else {
			fmt.Printf("%s %d ended otherwise after %d kills\n", j.name, n, hits)
		}
		for _, path := range leftBehind(dir, j.results) {
			k.left++
			fmt.Printf("%s %d, after %d kills: %s is left\n", j.name, n, hits, path)
		}
		if err := os.RemoveAll(dir); err != nil {
			return k, err
		}
	}
	return k, nil
}

var errKilled = errors.New("killed")

// run runs a job in dir, where its temporary files go, too. After some time, unless it is 0, it is killed.
func (o options) run(ctx context.Context, j job, dir string, after time.Duration) (output string, err error) {
	return o.runIn(ctx, j, dir, filepath.Join(dir, "tmp"), after)
}

// runIn has its temporary files go to another folder.
func (o options) runIn(ctx context.Context, j job, dir, tmp string, after time.Duration) (output string, err error) {
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, o.program, o.command(j)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+tmp, "OMP_WAIT_POLICY=passive")
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		return "", err
	}
	shot := false
	if after > 0 {
		time.Sleep(after)
		shot = cmd.Process.Kill() == nil
	}
	if err = cmd.Wait(); shot && cmd.ProcessState.ExitCode() < 0 {
		err = errKilled
	}
	return text.String(), err
}

// exists reports whether all of a job's results are there.
func exists(dir string, files []string) bool {
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// measured are the lines of a plan that tell of this machine, and differ from run to run.
var measured = regexp.MustCompile(`(?m)^ *"speedup": .*\n`)

// digest is one sum of a job's results.
func digest(dir string, files []string) ([]byte, error) {
	sum := sha256.New()
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		data = measured.ReplaceAll(data, nil)
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
	}
	return sum.Sum(nil), nil
}

// leftBehind lists the large files in dir that are no results, wherever they lie.
func leftBehind(dir string, results []string) (out []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name, _ := filepath.Rel(dir, path); slices.Contains(results, name) {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Size() > mostLeft {
			out = append(out, fmt.Sprintf("%s (%d bytes)", path, info.Size()))
		}
		return nil
	})
	return out
}
