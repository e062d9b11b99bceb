//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/source"
)

// fitting is a run of the program, on one thread and with the little text that the tests of channels need.
func fitting(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	args = append(args, "-c", "64", "--repair-tokens", "2048", "-t", "1")
	cmd := exec.CommandContext(ctx, "ggufprune", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

func mustRun(t *testing.T, args ...string) {
	t.Helper()
	if cmd, stderr := fitting(t.Context(), args...); cmd.Run() != nil {
		t.Fatalf("%s: %s", args, stderr)
	}
}

func pruneWidth(out, plan string) []string {
	return []string{"prune", "--kind", "width", "--ratio", "0.1", "--no-compare", "-m", tinyModel, "--chunks", "4", "-o", out, "--plan", plan}
}

// killWhen kills a program when the journal of its repair says that so many blocks are done.
func killWhen(t *testing.T, cmd *exec.Cmd, stderr *bytes.Buffer, journal string, done int) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for kept := 0; kept < done; {
		select {
		case err := <-ended:
			t.Fatalf("it ended before %d blocks were done: %v %s", done, err, stderr)
		case <-time.After(2 * time.Millisecond):
			data, _ := os.ReadFile(journal)
			kept = bytes.Count(data, []byte(`"note":"repair/`)) - 1 // one is the loss before
		}
	}
	_ = cmd.Process.Kill()
	<-ended
}

// A fit of channels that is killed goes on with the same command, whether it chooses them or a plan has. Either way it writes the file of
// a run that was not killed, and the plan of it applied is that file, too.
func TestKilledWidthResumes(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	calm, plan, out := in("calm.gguf"), in("calm.json"), in("out.gguf")
	mustRun(t, pruneWidth(calm, plan)...)
	journal, weights := out+".repair.journal", out+".repair.weights"
	for name, args := range map[string][]string{
		"prune": pruneWidth(out, in("out.json")),
		"apply": {"apply", "-m", tinyModel, "--plan", plan, "-o", out},
	} {
		for _, done := range []int{2, 9} {
			cmd, stderr := fitting(t.Context(), args...)
			killWhen(t, cmd, stderr, journal, done)
		}
		cmd, stderr := fitting(t.Context(), args...)
		if err := cmd.Run(); err != nil || !strings.Contains(stderr.String(), "the repair goes on from out.gguf.repair.journal") {
			t.Fatalf("%s: %v %s", name, err, stderr)
		}
		same(t, calm, out)
		for _, path := range []string{journal, weights} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is still there: %v", name, path, err)
			}
		}
		if err := os.Remove(out); err != nil {
			t.Fatal(err)
		}
	}
	same(t, plan, in("out.json"))
}

// A mask may have whole blocks, and FFNs of several widths: the file says how wide each is, and repair fits it anew on other text.
func TestBlocksAndChannels(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	mustRun(t, pruneWidth(in("width.gguf"), in("plan.json"))...)
	p, err := planfile.Read(in("plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	narrow := func(layer, width int) blockmask.Cut {
		list := make([]int, width)
		for i := range list {
			list[i] = 768 - 1 - i
		}
		kept, err := blockmask.NewIndices(list)
		if err != nil {
			t.Fatal(err)
		}
		return blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: kept}
	}
	s := &p.Steps[0]
	s.Removed = blockmask.New(blockmask.Block{Layer: 4}).Union(blockmask.Of(narrow(2, 512), narrow(7, 320)))
	s.Candidates[0].Mask = s.Removed
	if err := planfile.Write(in("mixed.json"), p); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "apply", "-m", tinyModel, "--plan", in("mixed.json"), "-o", in("mixed.gguf"))
	mustRun(t, "apply", "-m", tinyModel, "--plan", in("mixed.json"), "--repair", "off", "-o", in("off.gguf"))
	mustRun(t, "repair", tinyModel, in("off.gguf"), "--plan", in("mixed.json"), "-o", in("again.gguf"))
	same(t, in("mixed.gguf"), in("again.gguf"))
	for _, name := range []string{"mixed.gguf", "off.gguf"} {
		f, err := gguf.Open(in(name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if mask := source.Text(f, "ggufprune.mask"); mask != s.Removed.Key() {
			t.Errorf("%s: mask %s", name, mask)
		}
		for layer, width := range map[string]uint64{"1": 768, "2": 512, "4": 768, "7": 320} {
			down, _ := f.Tensor("blk." + layer + ".ffn_down.weight")
			up, _ := f.Tensor("blk." + layer + ".ffn_up.weight")
			if down.Dims[0] != width || up.Dims[1] != width {
				t.Errorf("%s: layer %s has an ffn_down of %v and an ffn_up of %v, want %d", name, layer, down.Dims, up.Dims, width)
			}
		}
		if _, ok := f.Tensor("blk.4.attn_q.weight"); ok {
			t.Errorf("%s has the removed attention", name)
		}
	}
	// A mask of an FFN that is not that wide is refused, before anything is fitted.
	s.Removed = blockmask.Of(blockmask.Cut{Block: blockmask.Block{Layer: 2, Kind: blockmask.FFN}, Channels: narrow(2, 32).Channels})
	kept, err := blockmask.NewIndices([]int{0, 768})
	if err != nil {
		t.Fatal(err)
	}
	s.Removed[0].Channels, s.Candidates[0].Mask = kept, s.Removed
	if err := planfile.Write(in("wrong.json"), p); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"auto", "off"} {
		cmd, stderr := fitting(t.Context(), "apply", "-m", tinyModel, "--plan", in("wrong.json"), "--repair", method, "-o", in("x.gguf"))
		if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "keeps channel 768; the FFN has 768, counted from 0") || strings.Contains(stderr.String(), "repair:") {
			t.Errorf("--repair %s: %v %s", method, err, stderr)
		}
	}
}
