package realbench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

const tiny = "../../../testdata/tiny-11m-Q8_0.gguf"

// program stands in for ggufprune: it notes its arguments, writes a file and prints an object of it. Where a file "fail" lies beside it, it
// leaves a journal and fails.
const program = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
out=; plan=; last=
for a in "$@"; do
	case $last in --output) out=$a;; --plan) plan=$a;; esac
	last=$a
done
[ "$1" = quantize ] && out=$3
if [ -e "$here/fail" ]; then : > "$plan.journal"; exit 1; fi
if [ "$1" = prune ]; then rm -f "$plan.journal"; echo plan > "$plan"; fi
printf '%s' "$1" > "$out"
cat <<END
{"command": "$1", "mask": "attn:1", "shapes": [{"name": "one", "keeps": "1 of 2"}, {"name": "two", "keeps": "2 of 2", "chosen": true}],
 "bytes": 8, "params": 10, "sha256": "hash-$1-$(basename "$out")",
 "output": {"path": "x", "bytes": $(wc -c < "$out"), "params": 7, "sha256": "hash-$1-$(basename "$out")", "params_removed_ratio": 0.21}}
END
`

// someBench is a run with that program on the tiny model, and its folder.
func someBench(t *testing.T, args ...string) (*bench, func() []string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ggufprune")
	if err := os.WriteFile(path, []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "judged.txt")
	if err := os.WriteFile(text, []byte("judged"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := again(t, append([]string{"-m", tiny, "-o", filepath.Join(dir, "out"), "-program", path, "-text", text, "-t", "1"}, args...)...)
	return b, func() []string {
		data, _ := os.ReadFile(filepath.Join(dir, "calls"))
		os.Remove(filepath.Join(dir, "calls"))
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
}

func again(t *testing.T, args ...string) *bench {
	t.Helper()
	o, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	b, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// Each file is made by its command, once; a repair takes the search's plan. A file that is gone is made again, and so is one of other settings.
func TestMakeAll(t *testing.T) {
	t.Parallel()
	fit := filepath.Join(t.TempDir(), "fit.txt")
	if err := os.WriteFile(fit, []byte("fit"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, calls := someBench(t, "-ratios", "0.2", "-time", "5m", "-tokens", "4096", "-chunks", "8", "-fit", fit, "-methods", "blocks,repaired,width")
	if err := b.makeAll(t.Context()); err != nil || len(b.failed) > 0 {
		t.Fatal(err, b.failed)
	}
	got := calls()
	if len(got) != 3 {
		t.Fatalf("%q", got)
	}
	search := b.found(blocks, 0.2)
	for i, want := range []string{
		"prune --model " + tiny + " --ratio 0.2 --output OUT --plan PLAN --no-compare --force --kind mix --strategy fast --repair off --time 5m --chunks 8 --file " + fit,
		"apply --model " + tiny + " --plan " + filepath.Join(b.folder, search.Plan) + " --output OUT --repair auto --force --repair-text " + fit + " --repair-tokens 4096",
		"prune --model " + tiny + " --ratio 0.2 --output OUT --plan PLAN --no-compare --force --kind auto --repair-text " + fit + " --repair-tokens 4096",
	} {
		m := b.found(allMethods[i], 0.2)
		want = strings.ReplaceAll(want, "OUT", filepath.Join(b.folder, m.File)) + " --json --threads 1"
		want = strings.ReplaceAll(want, "PLAN", filepath.Join(b.folder, m.Plan))
		if got[i] != want {
			t.Errorf("%s:\n%s\nwant\n%s", allMethods[i], got[i], want)
		}
		if m.Gone != 0.21 || m.Params != 7 || m.What != "two, 2 of 2" || m.More || m.Took.CPU <= 0 || m.Took.RSS <= 0 {
			t.Errorf("%+v", m)
		}
	}
	if r := b.found(repaired, 0.2); r.Took.CPU <= search.Took.CPU {
		t.Errorf("a repair with its search took %v, the search %v", r.Took, search.Took)
	}
	if err := b.makeAll(t.Context()); err != nil || calls()[0] != "" {
		t.Error("what is there is made again", err)
	}
	if err := os.Remove(filepath.Join(b.folder, b.found(width, 0.2).File)); err != nil {
		t.Fatal(err)
	}
	if err := b.makeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := calls(); len(got) != 1 || !strings.Contains(got[0], "--kind auto") {
		t.Errorf("%q", got)
	}
	b.tokens = 512
	if err := b.makeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := calls(); len(got) != 2 || !strings.HasPrefix(got[0], "apply") || !strings.Contains(got[1], "--repair-tokens 512") {
		t.Errorf("with other tokens: %q", got)
	}
}

// The quantisation is no larger than the default's file, and known by that size.
func TestMakeQuant(t *testing.T) {
	t.Parallel()
	b, calls := someBench(t, "-ratios", "0.2", "-methods", "width,quant")
	k, _ := b.makes(width, 0.2)
	if _, ok := b.makes(quant, 0.2); ok {
		t.Error("a quantisation without anything to be set beside")
	}
	file := filepath.Join(b.folder, "w.gguf")
	if err := os.WriteFile(file, []byte("w"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 9.9e6); err != nil { // a sparse one
		t.Fatal(err)
	}
	if err := b.add(k, made{File: "w.gguf", SHA256: "w", Bytes: 9.9e6}); err != nil {
		t.Fatal(err)
	}
	if err := b.makeAll(t.Context()); err != nil || len(b.failed) > 0 {
		t.Fatal(err, b.failed)
	}
	got := calls()
	m := b.found(quant, 0.2)
	if want := fmt.Sprintf("quantize %s %s Q6_K --allow-requantize --force --json --threads 1", tiny, filepath.Join(b.folder, m.File)); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
	if m.Type != "Q6_K" || m.Gone != 0 || !b.there(m) {
		t.Errorf("%+v", m)
	}
	// No type is as small as a file of nothing, which is no failure, and said once.
	b.methods = []string{width, quant, quantOut}
	if err := b.add(k, made{File: "w.gguf", SHA256: "w", Bytes: 1000}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := os.Truncate(file, 1000); err != nil {
			t.Fatal(err)
		}
		if err := b.makeAll(t.Context()); err != nil || len(b.failed) > 0 || calls()[0] != "" {
			t.Fatal(err, b.failed)
		}
		none := b.found(quantOut, 0.2)
		if none == nil || !strings.Contains(none.None, "fits into 0.0 MiB") || len(b.subjects()) != 2 {
			t.Errorf("%+v", none)
		}
	}
	var table strings.Builder
	if b.write(&table, b.rows()); strings.Count(table.String(), "- quantisations beside 20%: none") != 2 {
		t.Error(table.String())
	}
	// With a smaller output, a larger type fits than without.
	if err := b.add(k, made{File: "w.gguf", SHA256: "w", Bytes: 9.5e6}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 9.5e6); err != nil {
		t.Fatal(err)
	}
	if err := b.makeAll(t.Context()); err != nil || len(b.failed) > 0 {
		t.Fatal(err, b.failed)
	}
	if got := calls(); len(got) != 2 || strings.Contains(got[0], "output-tensor") || !strings.Contains(got[1], "--output-tensor-type Q4_0") {
		t.Errorf("%q", got)
	}
	subjects := b.subjects()
	if len(subjects) != 4 || subjects[0].path != tiny || !strings.HasSuffix(subjects[3].name(), " with Q4_0 output, 20%") {
		t.Errorf("%+v", subjects)
	}
}

// What fails does not end the run, and what it took counts where the next attempt goes on from there.
func TestMakeGoesOn(t *testing.T) {
	t.Parallel()
	b, _ := someBench(t, "-ratios", "0.1,0.2", "-methods", "width")
	fail := filepath.Join(filepath.Dir(b.program), "fail")
	if err := os.WriteFile(fail, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.makeAll(t.Context()); err != nil || len(b.failed) != 2 || len(b.subjects()) != 1 {
		t.Fatal(err, b.failed)
	}
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	k, _ := b.makes(width, 0.1)
	k.Part = "spent"
	if len(b.all(k)) != 1 {
		t.Fatal("what the attempt took is not there")
	}
	if err := b.add(k, measure.Usage{CPU: 1000, RSS: 1 << 20}); err != nil { // another attempt
		t.Fatal(err)
	}
	delete(b.values, func() string { k := k; k.Ratio = 0.2; return k.id() }()) // one that was killed with the bench
	if err := b.makeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := b.found(width, 0.1), b.found(width, 0.2)
	if first.Took.CPU < 1000 || first.Took.RSS != 1<<20 || first.More {
		t.Errorf("%+v", first)
	}
	if second.Took.CPU > 500 || !second.More {
		t.Errorf("%+v", second)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-m", "d/SmolLM2-135M-Instruct.Q4_1.gguf", "-parts", "plot,prune", "-ratios", "0.3,0.1,0.3", "-kldwindows", "50"})
	if err != nil || o.label != "smollm2" || fmt.Sprint(o.parts, o.ratios) != "[prune plot] [0.1 0.3]" || o.svg != filepath.Join("bench-real", "smollm2.svg") {
		t.Errorf("%+v, %v", o, err)
	}
	if o.kldWindows > o.windows {
		t.Errorf("%d windows of %d", o.kldWindows, o.windows)
	}
	for _, bad := range [][]string{{"-parts", "all"}, {"-methods", "channels"}, {"-ratios", "1"}, {"-ratios", "20"}, {"m.gguf"}, {"-windows", "0"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
	o, err = parse([]string{"-m", tiny, "-text", tiny, "-fit", tiny, "-o", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.open(); err == nil || !strings.Contains(err.Error(), "judged on") {
		t.Errorf("fitted and judged on one text: %v", err)
	}
}

func TestReadDivergence(t *testing.T) {
	t.Parallel()
	got, err := readDivergence(`{"comparison": {"sequences": 4, "models": [{"label": "a"}, {"divergence": {"kld": 0.5, "kld_stderr": 0.1}}]}}`)
	if err != nil || got != (estimate{0.5, 0.1, 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := readDivergence(`{"comparison": {"models": [{"divergence": {"kld": null, "kld_stderr": null}}]}}`); err != nil || got.text("%.2f") != "∞" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{`{}`, `{"comparison": {"models": [{"label": "a"}]}}`, "x"} {
		if _, err := readDivergence(bad); err == nil {
			t.Errorf("%s is no error", bad)
		}
	}
	raw, err := json.Marshal(got)
	var back estimate
	if err != nil || json.Unmarshal(raw, &back) != nil || back != got {
		t.Errorf("%s, %v", raw, err)
	}
}
