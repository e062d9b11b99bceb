package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/imatrix/imatrixtest"
)

// tinyModel is the real model that the scripts work on, as $MODEL.
const tinyModel = "testdata/tiny-11m-Q8_0.gguf"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ggufprune": main})
}

// TestScripts runs testdata/script: each command's success and failure as a user sees them. A script finds the model in
// $MODEL, an importance matrix of it in $IMATRIX, a text in $TEXT, the source tree in $SOURCE, and files that are no model to prune
// in the folder bad.
func TestScripts(t *testing.T) {
	source, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bad := t.TempDir()
	if err := writeBadModels(bad); err != nil {
		t.Fatal(err)
	}
	matrix := filepath.Join(t.TempDir(), "tiny.imatrix")
	if err := writeMatrix(matrix); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SOURCE", source)
			e.Setenv("MODEL", filepath.Join(source, tinyModel))
			e.Setenv("TEXT", filepath.Join(e.WorkDir, "text.txt"))
			e.Setenv("IMATRIX", matrix)
			// Threads that wait must not spin: the scripts run side by side.
			e.Setenv("OMP_WAIT_POLICY", "passive")
			if err := linkAll(bad, filepath.Join(e.WorkDir, "bad")); err != nil {
				return err
			}
			return os.WriteFile(e.Getenv("TEXT"), []byte(plainText(12)), 0o644)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":        cmdExits,
			"keeps":        cmdKeeps,
			"hardlink":     cmdHardlink,
			"ollamastore":  cmdOllamaStore,
			"ollamaserver": cmdOllamaServer,
			"tamper":       cmdTamper,
		},
	})
}

// cmdKeeps fails if the fit that wrote a file multiplied perplexity on text that was held back by more than a factor: keeps FILE FACTOR.
func cmdKeeps(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: keeps FILE FACTOR")
	}
	factor, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	f, err := gguf.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	nll := func(name string) float64 {
		value, ok, err := f.Float("ggufprune.repair." + name)
		if err != nil || !ok {
			ts.Fatalf("%s has no %s: %v", args[0], name, err)
		}
		return value
	}
	if ratio := math.Exp(nll("nll_after") - nll("nll_before")); ratio > factor {
		ts.Fatalf("perplexity is multiplied by %v, more than %v", ratio, factor)
	}
}

// writeMatrix writes an importance matrix of the small model.
func writeMatrix(path string) error {
	f, err := gguf.Open(tinyModel)
	if err != nil {
		return err
	}
	defer f.Close()
	return imatrixtest.Write(path, imatrixtest.Random(f, 1))
}

// linkAll makes the folder to, with a link to each file of the folder from.
func linkAll(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(from, "*"))
	for _, f := range files {
		err = errors.Join(err, os.Symlink(f, filepath.Join(to, filepath.Base(f))))
	}
	return err
}

// plainText is n paragraphs of English, 50 tokens each.
func plainText(n int) string {
	return strings.Repeat("The farmer walked to the market with a basket of apples. On the way he met an old woman who asked "+
		"him for one. He gave her two, and she told him where the best stall was. There he sold all that he had.\n", n)
}

var (
	errorLine = regexp.MustCompile(`(?m)^ggufprune: .+$`)
	madeFiles = regexp.MustCompile(`^x\.|\.tmp\.gguf$|^\.ggufprune-`)
)

// cmdExits runs a command that must fail with a code: exits CODE COMMAND ARGS... It must print nothing but one line that begins
// with the program's name, apart from notes, and leave neither a temporary file nor an output, by convention named x.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("ended with %v, want exit code %s", err, args[0])
	}
	stderr := ts.ReadFile("stderr")
	if lines := errorLine.FindAllString(stderr, -1); len(lines) != 1 || !strings.HasSuffix(stderr, lines[0]+"\n") {
		ts.Fatalf("%d error lines, want one at the end", len(lines))
	}
	if strings.Contains(stderr, "goroutine ") {
		ts.Fatalf("it panicked")
	}
	entries, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	for _, e := range entries {
		if madeFiles.MatchString(e.Name()) {
			ts.Fatalf("it left %s behind", e.Name())
		}
	}
}

// cmdHardlink gives a file a second name: hardlink OLD NEW
func cmdHardlink(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hardlink OLD NEW")
	}
	ts.Check(os.Link(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// chatTemplate is one in which the small model can be spoken to, since it was trained on Alpaca's form. Like many it writes BOS,
// and refuses turns that do not alternate.
const chatTemplate = "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}" +
	"{{ raise_exception('Roles must alternate') }}{% endif %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n" +
	"{% else %}### Response:\n{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"

// writeBadModels fills dir with files that are wrong in one way each.
func writeBadModels(dir string) error {
	data, err := os.ReadFile(tinyModel)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"truncated.gguf": data[:len(data)/2],
		"not.gguf":       []byte("This is no model.\n"),
		"empty.gguf":     nil,
		"truncated.kld":  []byte("_logits_\x40\x00\x00\x00\x00\x10\x00\x00\x01\x00\x00\x00and no more"),
		"vocab.kld":      baseOfTwo(),
		"bigendian.gguf": append(binary.BigEndian.AppendUint32([]byte("GGUF"), 3), make([]byte, 64)...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	for name, set := range map[string]map[string]any{
		"encoder.gguf": {"general.architecture": "bert", "bert.attention.causal": false},
		"unknown.gguf": {"general.architecture": "perceptron"},
		"nothing.gguf": {"general.architecture": nil},
		"other.gguf":   {"general.name": "Another model"},
		"nan.gguf":     {"llama.rope.freq_base": float32(math.NaN())},
		"odd.gguf":     {"general.name": "two\nlines\x1b[31m", "llama.context_length": uint32(1<<32 - 1)},
		"oldbpe.gguf":  {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": []string{"t h"}, "tokenizer.ggml.pre": nil},
		"tokens.gguf":  {"tokenizer.ggml.add_bos_token": false},
		"chat.gguf":    {"tokenizer.chat_template": chatTemplate},
		"named.gguf":   {"tokenizer.chat_template": "chatml"},
		"word.gguf":    {"tokenizer.chat_template": "default"},
		"nochat.gguf":  {"tokenizer.chat_template": "{{ messages | no_such_filter }}"},
	} {
		if err := rewrite(filepath.Join(dir, name), set); err != nil {
			return err
		}
	}
	for name, m := range notModels() {
		if err := os.WriteFile(filepath.Join(dir, name), gguftest.Build(m), 0o644); err != nil {
			return err
		}
	}
	if err := writeTinyAs(dir); err != nil {
		return err
	}
	return writeShard(filepath.Join(dir, "split-00001-of-00002.gguf"))
}

// baseOfTwo is what llama-perplexity --kl-divergence-base saves of one window of four tokens, of a vocabulary of two.
func baseOfTwo() []byte {
	b := []byte("_logits_")
	for _, n := range []uint32{4, 2, 1, 0, 1, 0, 1} { // n_ctx, n_vocab, n_chunk, tokens
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return append(b, make([]byte, 12)...) // scale, least, two tokens
}

// rewrite writes the tiny model to path with some key-values set, or removed where the value is nil.
func rewrite(path string, set map[string]any) error {
	f, err := gguf.Open(tinyModel)
	if err != nil {
		return err
	}
	defer f.Close()
	plan := &gguf.Plan{Alignment: f.Alignment()}
	for _, kv := range f.KVs() {
		if _, changed := set[kv.Key]; !changed {
			plan.KVs = append(plan.KVs, kv)
		}
	}
	for key, v := range set {
		if v == nil {
			continue
		}
		kv, err := gguf.NewKV(key, v)
		if err != nil {
			return err
		}
		plan.KVs = append(plan.KVs, kv)
	}
	for _, t := range f.Tensors() {
		plan.Tensors = append(plan.Tensors, gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)})
	}
	pending, err := gguf.WriteTemp(context.Background(), path, plan, gguf.WriteOptions{})
	if err != nil {
		return err
	}
	_, err = pending.Commit()
	return err
}

// writeShard writes the header of the first of two shards, by hand: package gguf writes whole models only.
func writeShard(path string) error {
	str := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	u16 := func(b []byte, key string, v uint16) []byte {
		return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(str(b, key), 2), v)
	}
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	b = binary.LittleEndian.AppendUint64(b, 0) // tensors
	b = binary.LittleEndian.AppendUint64(b, 3) // key-values
	b = str(binary.LittleEndian.AppendUint32(str(b, "general.architecture"), 8), "llama")
	b = u16(b, "split.no", 0)
	b = u16(b, "split.count", 2)
	return os.WriteFile(path, b, 0o644)
}
