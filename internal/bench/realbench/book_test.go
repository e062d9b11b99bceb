package realbench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func someKey() key {
	return key{Part: "ppl", Model: "aa", Method: width, Ratio: 0.2, File: "bb", Settings: settings{"c": "512", "windows": "8"}}
}

func opened(t *testing.T, path string) *book {
	t.Helper()
	b, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was added is found by a later run, the last one of the same; what was set otherwise, or is of another file, is not.
func TestBookGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.jsonl")
	b := opened(t, path)
	k := someKey()
	for _, mean := range []float64{3, 4} {
		if err := b.add(k, map[string]float64{"mean": mean}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openBook(path); err == nil {
		t.Error("two runs have the book open")
	}
	during, err := readBook(path)
	if err != nil {
		t.Fatal(err)
	}
	b.journal.Close()
	again := opened(t, path)
	defer again.journal.Close()
	for name, b := range map[string]*book{"during": during, "again": again} {
		var got struct{ Mean float64 }
		if !b.find(k, &got) || got.Mean != 4 || len(b.all(k)) != 2 {
			t.Errorf("%s: %+v of %d", name, got, len(b.all(k)))
		}
		same := k
		same.Method, same.Ratio = quant, 0.3 // the same file by another name
		if !b.find(same, &got) {
			t.Errorf("%s: not found by its file", name)
		}
		for what, change := range map[string]func(*key){
			"settings": func(k *key) { k.Settings = settings{"c": "512", "windows": "9"} },
			"file":     func(k *key) { k.File = "cc" },
			"model":    func(k *key) { k.Model = "ab" },
			"part":     func(k *key) { k.Part = "kld" },
		} {
			other := k
			change(&other)
			if b.find(other, &got) {
				t.Errorf("%s: found with another %s", name, what)
			}
		}
	}
	made := key{Part: "prune", Model: "aa", Method: width, Ratio: 0.2}
	other := made
	if other.Ratio = 0.1; made.id() == other.id() || made.short() == other.short() {
		t.Error("files of two ratios have one key")
	}
}

// A run that ended while it wrote leaves a line without its end. It is cut off, and what follows is readable.
func TestBookTorn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.jsonl")
	b := opened(t, path)
	k := someKey()
	last := k
	last.Part = "kld"
	for _, k := range []key{k, last} {
		if err := b.add(k, 1); err != nil {
			t.Fatal(err)
		}
	}
	b.journal.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 2, 40} {
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b := opened(t, path)
		if len(b.all(k)) != 1 || len(b.all(last)) != 0 {
			t.Errorf("cut by %d: %d and %d results", cut, len(b.all(k)), len(b.all(last)))
		}
		if err := b.add(last, 2); err != nil {
			t.Fatal(err)
		}
		b.journal.Close()
		data, err := os.ReadFile(path)
		if err != nil || strings.Count(string(data), "\n") != 3 {
			t.Errorf("%q, %v", data, err)
		}
	}
}

func TestNoBook(t *testing.T) {
	t.Parallel()
	if _, err := readBook(filepath.Join(t.TempDir(), "results.jsonl")); err == nil || !strings.Contains(err.Error(), "nothing was measured") {
		t.Error(err)
	}
}
