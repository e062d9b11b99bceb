package gguf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// A split model is the same model, whichever of its shards is opened, and even where the shards are aligned differently.
func TestSplitEqualsWhole(t *testing.T) {
	t.Parallel()
	m := gguftest.Llama(3, 1)
	m.Alignment = 64
	m.KVs = append(m.KVs, gguftest.KV{Key: "general.alignment", Value: uint32(64)})
	whole := openModel(t, m)
	for _, n := range []int{1, 2, 5} {
		paths := gguftest.WriteSplit(t, t.TempDir(), "model", m, n)
		hash := sha256.New()
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			hash.Write(b)
		}
		for _, p := range paths {
			f, err := Open(p)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if !slices.Equal(f.Paths(), paths) || f.Params() != whole.Params() || f.Alignment() != 64 {
				t.Errorf("%d shards: %v, %d parameters", n, f.Paths(), f.Params())
			}
			sum, err := f.SHA256(t.Context())
			if err != nil || sum != hex.EncodeToString(hash.Sum(nil)) {
				t.Errorf("%d shards: hash %s, %v", n, sum, err)
			}
			if got, want := planBytes(t, planOf(f)), gguftest.Build(m); !bytes.Equal(got, want) {
				t.Errorf("%d shards: merging them does not give the whole file", n)
			}
			last := m.Tensors[len(m.Tensors)-1]
			tensor, _ := f.Tensor(last.Name)
			if data, err := io.ReadAll(f.Data(tensor)); err != nil || !bytes.Equal(data, last.Data) {
				t.Errorf("%d shards: wrong data, %v", n, err)
			}
		}
	}
}

// Shards joined by cat are told apart from a shard that was renamed.
func TestJoinedShards(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	paths := gguftest.WriteSplit(t, dir, "m", gguftest.Llama(2, 2), 3)
	var all []byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	first := filepath.Join(dir, "first.gguf")
	if err := os.Rename(paths[0], first); err != nil {
		t.Fatal(err)
	}
	joined := filepath.Join(dir, "joined.gguf")
	if err := os.WriteFile(joined, all, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{joined: "llama-gguf-split --merge", first: "not named like one (NAME-00001-of-00003.gguf); rename it"} {
		if _, err := Open(path); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
		}
	}
}

// Shards names the files of a split model by any of them, and else the one that was given.
func TestShards(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	paths := gguftest.WriteSplit(t, dir, "m", gguftest.Llama(2, 1), 3)
	for _, p := range paths {
		if got := Shards(p); !slices.Equal(got, paths) {
			t.Errorf("%s: %v", p, got)
		}
	}
	for _, p := range []string{filepath.Join(dir, "m.gguf"), filepath.Join(dir, "n-00002-of-00003.gguf"), filepath.Join(dir, "m-00002-of-00000.gguf"), ""} {
		if got := Shards(p); !slices.Equal(got, []string{p}) {
			t.Errorf("%s: %v", p, got)
		}
	}
}

func TestEvilSplits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, paths []string, shards []gguftest.Model)
		is     error
		want   string
	}{
		"missing": {
			func(t *testing.T, paths []string, _ []gguftest.Model) { remove(t, paths[1]) },
			ErrMissingShard, "m-00002-of-00003.gguf of the model's 3 files",
		},
		"two missing": {
			func(t *testing.T, paths []string, _ []gguftest.Model) { remove(t, paths[0]); remove(t, paths[1]) },
			ErrMissingShard, "m-00001-of-00003.gguf and 1 more",
		},
		"swapped": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[0], s[1] = s[1], s[0]
		}, ErrMalformed, "restore the names"},
		"no number": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[1].KVs[0].Key = "split.other"
		}, ErrMalformed, "named as shard 2"},
		"other count": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[1].KVs[1].Value = uint16(2)
		}, ErrMalformed, "has 2 shards"},
		"count of tensors": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[0].KVs[len(s[0].KVs)-1].Value = int32(7)
		}, ErrMalformed, "split.tensors.count says 7"},
		"tensor twice": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[1].Tensors[0].Name = s[0].Tensors[0].Name
		}, ErrMalformed, "in two shards"},
		"cut shard": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[1].TensorCount = 1 << 40
		}, ErrTruncated, "shard m-00002-of-00003.gguf"},
		"no split at all": {func(t *testing.T, paths []string, s []gguftest.Model) {
			s[2] = small()
		}, ErrMalformed, "whole model; rename it"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			shards := gguftest.Split(gguftest.Llama(2, 2), 3)
			for i := range shards {
				shards[i].Tensors = slices.Clone(shards[i].Tensors)
			}
			paths := make([]string, 3)
			for i := range paths {
				paths[i] = filepath.Join(dir, gguftest.ShardName("m", i, 3))
			}
			missing := strings.Contains(name, "missing")
			if !missing {
				c.change(t, paths, shards)
			}
			for i, s := range shards {
				gguftest.Write(t, dir, filepath.Base(paths[i]), s)
			}
			if missing {
				c.change(t, paths, shards)
			}
			_, err := Open(paths[2])
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v with %q", err, c.is, c.want)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
