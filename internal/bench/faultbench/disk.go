package faultbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// steps is how many sizes of a disk are tried, from nothing to what the job needs.
const steps = 12

// disk runs jobs on disks of up to the size of their results, one after the other, and on one that is read-only; a file of the user's lies there. A
// job must end with exit 1 and one line that says what is wrong, and leave what was there as it was.
func disk(ctx context.Context, o options) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		fmt.Println("not done: this needs root on Linux, to mount small disks")
		return nil
	}
	cases, wrong := 0, 0
	for _, j := range o.jobs {
		most, sum, err := o.needs(ctx, j)
		if err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		bad := 0
		for i := range steps + 1 {
			size, locked := (most*int64(i)/steps+8<<10)&^4095, i == steps
			if err := o.onDisk(ctx, j, size, locked, sum); err != nil {
				bad++
				fmt.Printf("%s on %d KiB, read-only %v: %v\n", j.name, size>>10, locked, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		fmt.Printf("%-9s needs %d KiB; %d disks up to that and one that is read-only, %d wrong\n", j.name, most>>10, steps, bad)
		cases, wrong = cases+steps+1, wrong+bad
	}
	fmt.Printf("\nfigure fault_disks %d\nfigure fault_disks_wrong %d\n", cases, wrong)
	if wrong > 0 {
		return errors.New("jobs on full disks did not all end as they should")
	}
	return nil
}

// needs is the size of the job's results, which no smaller disk can hold, and their sum.
func (o options) needs(ctx context.Context, j job) (size int64, sum []byte, err error) {
	dir := filepath.Join(o.dir, "needs-"+j.name)
	if text, err := o.run(ctx, j, dir, 0); err != nil {
		return 0, nil, fmt.Errorf("%w: %s", err, text)
	}
	for _, name := range j.results {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return 0, nil, err
		}
		size += info.Size()
	}
	if sum, err = digest(dir, j.results); err != nil {
		return 0, nil, err
	}
	return size, sum, os.RemoveAll(dir)
}

const ofUser = "of the user's"

// onDisk runs the job on a disk of that size that holds an earlier file of the user's; locked: which is read-only. A job that finds room
// after all must write what it always does, whose sum is want.
func (o options) onDisk(ctx context.Context, j job, size int64, locked bool, want []byte) error {
	dir := filepath.Join(o.dir, "disk")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "tmpfs", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	defer func() {
		_ = exec.Command("umount", "-l", dir).Run()
	}()
	earlier := filepath.Join(dir, "earlier")
	if err := os.WriteFile(earlier, []byte(ofUser), 0o600); err != nil {
		return err
	}
	tmp, reason := dir, "space"
	if locked {
		tmp, reason = filepath.Join(o.dir, "elsewhere"), "read-only"
		if out, err := exec.CommandContext(ctx, "mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
			return fmt.Errorf("mount: %w: %s", err, out)
		}
	}
	text, err := o.runIn(ctx, j, dir, tmp, 0)
	if kept, errE := os.ReadFile(earlier); errE != nil || string(kept) != ofUser {
		return fmt.Errorf("an earlier file is damaged: %q, %v", kept, errE)
	}
	if err == nil {
		got, errD := digest(dir, j.results)
		if locked || errD != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("it ended with exit 0, but its results are missing or others (%v)", errD)
		}
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("%w: %s", err, text)
	}
	var said []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ggufprune: ") {
			said = append(said, line)
		}
	}
	switch {
	case len(said) != 1:
		return fmt.Errorf("%d lines of error: %q", len(said), said)
	case !strings.Contains(said[0], reason):
		return fmt.Errorf("it does not say why, %s: %q", reason, said[0])
	case exists(dir, j.results):
		return errors.New("it failed, but its results are there")
	}
	return nil
}
