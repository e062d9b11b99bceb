//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/imatrix"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// fitting is a run of the program, on one thread and with the little text that the tests of channels need.
func fitting(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	args = append(args, "-c", "64", "-t", "1")
	if !slices.Contains(args, "off") {
		args = append(args, "--repair-tokens", "2048")
	}
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

// pruneWidth narrows the small model; in the layout native all FFNs alike, so that no shapes are tried.
func pruneWidth(out, plan string) []string {
	return []string{"prune", "--kind", "width", "--layout", "native", "--ratio", "0.1", "--no-compare", "-m", tinyModel, "--chunks", "4", "-o", out, "--plan", plan}
}

// A fit of channels that is killed goes on with the same command, whether it chooses them or a plan has. Either way it writes the file of
// a run that was not killed, and the plan of it applied is that file, too.
func TestKilledWidthResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	calm, calmPlan, out, plan := in("calm.gguf"), in("calm.json"), in("out.gguf"), in("out.json")
	mustRun(t, pruneWidth(calm, calmPlan)...)
	journal, weights := out+".repair.journal", out+".repair.weights"
	for name, args := range map[string][]string{
		"prune": pruneWidth(out, plan),
		"apply": {"apply", "-m", tinyModel, "--layout", "native", "--plan", calmPlan, "-o", out},
	} {
		cmd, stderr := fitting(t.Context(), args...)
		killWhen(t, cmd, stderr, journal, 10)
		cmd, stderr = fitting(t.Context(), args...)
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
	if want, got := decisions(t, calmPlan), decisions(t, plan); got != want {
		t.Errorf("the plans differ:\n%s\nwant:\n%s", got, want)
	}
}

// A file lists the channels that it keeps, which counts in its size: of a target one byte below a file's size comes a smaller file, whose
// FFNs are narrower.
func TestTargetSizeOfChannels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	prune := func(name string, goal ...string) int64 {
		out := filepath.Join(dir, name)
		mustRun(t, append([]string{
			"prune", "--kind", "width", "--layout", "native", "--no-compare", "--no-check", "-m", tinyModel, "--chunks", "4", "--repair-text", "testdata/simple.jsonl", "-o", out,
		}, goal...)...)
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	target := prune("ratio.gguf", "--ratio", "0.1") - 1
	if size := prune("size.gguf", "--target-size", fmt.Sprint(target, "B")); size > target {
		t.Errorf("%d bytes, the target is %d", size, target)
	}
}

// sameTensors compares two files of one model, whatever they say of where they come from.
func sameTensors(t *testing.T, wanted, made string) {
	t.Helper()
	want, err := gguf.Open(wanted)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got, err := gguf.Open(made)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if len(got.Tensors()) != len(want.Tensors()) {
		t.Errorf("%d tensors, want %d", len(got.Tensors()), len(want.Tensors()))
	}
	for _, x := range want.Tensors() {
		y, ok := got.Tensor(x.Name)
		a, errA := io.ReadAll(want.Data(x))
		b, errB := io.ReadAll(got.Data(y))
		if !ok || y.Type != x.Type || !slices.Equal(y.Dims, x.Dims) || !bytes.Equal(a, b) || errA != nil || errB != nil {
			t.Errorf("%s differs: %v %v, want %v %v; %v, %v", x.Name, y.Type, y.Dims, x.Type, x.Dims, errA, errB)
		}
	}
}

// splitModel writes the model at path in so many files, and returns the first.
func splitModel(t *testing.T, path string, files int) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var m gguftest.Model
	for _, kv := range f.KVs() {
		v, err := kv.Value()
		if err != nil {
			t.Fatal(err)
		}
		m.KVs = append(m.KVs, gguftest.KV{Key: kv.Key, Value: v})
	}
	for _, x := range f.Tensors() {
		data, err := io.ReadAll(f.Data(x))
		if err != nil {
			t.Fatal(err)
		}
		m.Tensors = append(m.Tensors, gguftest.Tensor{Name: x.Name, Type: uint32(x.Type), Dims: x.Dims, Data: data})
	}
	return gguftest.WriteSplit(t, t.TempDir(), "split", m, files)[0]
}

// narrow is the cut of an FFN that keeps so many of its last channels.
func narrow(t *testing.T, layer, of, width int) blockmask.Cut {
	t.Helper()
	list := make([]int, width)
	for i := range list {
		list[i] = of - 1 - i
	}
	kept, err := blockmask.NewIndices(list)
	if err != nil {
		t.Fatal(err)
	}
	return blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: kept}
}

// writePlan writes a plan for the small model, or the same with other types, that removes mask in one step.
func writePlan(t *testing.T, path, model string, mask blockmask.Mask) {
	t.Helper()
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash, err := f.SHA256(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := blockmask.Parse("attn:0-11,ffn:0-11")
	if err != nil {
		t.Fatal(err)
	}
	p := &plan.Plan{
		Tool: "by hand", LlamaCpp: "none", Metric: "ppl", Base: 100,
		Model:       plan.Model{Path: model, SHA256: hash, Arch: f.Arch(), Params: f.Params(), Size: f.Bytes(), Blocks: all},
		Calibration: plan.Calibration{Description: "none", TokensSHA256: hash, Convention: "samples", Context: 64, Sequences: 1, Tokens: 64},
		Settings:    search.Settings{Strategy: "width", Unit: blockmask.Width, Goal: search.Goal{Ratio: 0.1}},
		Steps: []search.Step{{
			Index: 1, Removed: mask, Score: 120, ParamsRemoved: 1000, Ratio: 1000 / float64(f.Params()), Candidates: []search.Candidate{{Mask: mask, Score: 120}},
		}},
	}
	if err := planfile.Write(path, p); err != nil {
		t.Fatal(err)
	}
}

// A mask may have whole blocks, and FFNs of several widths: the file says how wide each is, and repair fits it anew. A model in several
// files gives the same.
func TestBlocksAndChannels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	mask := blockmask.New(blockmask.Block{Layer: 9}).Union(blockmask.Of(narrow(t, 8, 768, 512), narrow(t, 11, 768, 320)))
	writePlan(t, in("plan.json"), tinyModel, mask)
	mustRun(t, "apply", "-m", tinyModel, "--plan", in("plan.json"), "-o", in("fitted.gguf"))
	mustRun(t, "apply", "-m", tinyModel, "--plan", in("plan.json"), "--repair", "off", "-o", in("off.gguf"))
	mustRun(t, "repair", tinyModel, in("off.gguf"), "--plan", in("plan.json"), "-o", in("again.gguf"))
	same(t, in("fitted.gguf"), in("again.gguf"))
	split := splitModel(t, tinyModel, 3)
	writePlan(t, in("split.json"), split, mask)
	mustRun(t, "apply", "-m", split, "--plan", in("split.json"), "-o", in("split.gguf"))
	sameTensors(t, in("fitted.gguf"), in("split.gguf"))
	for _, name := range []string{"fitted.gguf", "off.gguf"} {
		f, err := gguf.Open(in(name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if key := source.Text(f, "ggufprune.mask"); key != mask.Key() {
			t.Errorf("%s: mask %s", name, key)
		}
		for layer, width := range map[string]uint64{"7": 768, "8": 512, "9": 768, "11": 320} {
			down, _ := f.Tensor("blk." + layer + ".ffn_down.weight")
			up, _ := f.Tensor("blk." + layer + ".ffn_up.weight")
			if down.Dims[0] != width || up.Dims[1] != width {
				t.Errorf("%s: layer %s has an ffn_down of %v and an ffn_up of %v, want %d", name, layer, down.Dims, up.Dims, width)
			}
		}
		if _, ok := f.Tensor("blk.9.attn_q.weight"); ok {
			t.Errorf("%s has the removed attention", name)
		}
	}
	// An FFN that is not that wide is refused before anything is fitted.
	writePlan(t, in("wrong.json"), tinyModel, blockmask.Of(narrow(t, 2, 769, 32)))
	for _, method := range []string{"auto", "off"} {
		cmd, stderr := fitting(t.Context(), "apply", "-m", tinyModel, "--plan", in("wrong.json"), "--repair", method, "-o", in("x.gguf"))
		if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "keeps channel 768; the FFN has 768, counted from 0") || strings.Contains(stderr.String(), "repair:") {
			t.Errorf("--repair %s: %v %s", method, err, stderr)
		}
	}
}

// The importances of a narrowed ffn_down are those of the channels that it keeps, and the file is quantised by them.
func TestImportancesOfChannels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	model, matrix := in("f16.gguf"), in("whole.imatrix")
	if out, err := exec.CommandContext(t.Context(), "ggufprune", "quantize", "--allow-requantize", tinyModel, model, "F16").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if err := writeMatrix(matrix); err != nil {
		t.Fatal(err)
	}
	cut := narrow(t, 11, 768, 256)
	writePlan(t, in("plan.json"), model, blockmask.Of(narrow(t, 10, 768, 512), cut))
	for _, method := range []string{"auto", "off"} {
		out, kept := in(method+".gguf"), in(method+".imatrix")
		mustRun(t, "apply", "-m", model, "--plan", in("plan.json"), "--repair", method, "--quantize", "IQ4_NL", "--imatrix", matrix, "--imatrix-out", kept, "-o", out)
		whole, err := imatrix.Read(matrix)
		if err != nil {
			t.Fatal(err)
		}
		got, err := imatrix.Read(kept)
		if err != nil {
			t.Fatal(err)
		}
		const name = "blk.11.ffn_down.weight"
		var want []float32
		for c := range cut.Channels.All() {
			want = append(want, whole.Entries[name].Sums[c])
		}
		if sums := got.Entries[name].Sums; !slices.Equal(sums, want) || len(got.Entries) != len(whole.Entries) {
			t.Errorf("--repair %s: %d sums of %s, want those of %d channels; %d entries", method, len(sums), name, len(want), len(got.Entries))
		}
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if down, _ := f.Tensor(name); down.Type != gguf.IQ4_NL || down.Dims[0] != 256 {
			t.Errorf("--repair %s: %s is %v in %s", method, name, down.Dims, down.Type)
		}
	}
}
