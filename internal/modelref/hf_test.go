package modelref

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// putHub puts files of a repository into a cache of the hub's layout: blobs, and links to them.
func putHub(t *testing.T, root, repo, commit, ref string, files ...string) {
	t.Helper()
	dir := filepath.Join(root, "models--"+strings.ReplaceAll(repo, "/", "--"))
	put(t, commit, dir, "refs", ref)
	for _, f := range files {
		blob := put(t, f, dir, "blobs", strings.ReplaceAll(f, "/", "_"))
		link := filepath.Join(dir, "snapshots", commit, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(blob, link); err != nil {
			t.Fatal(err)
		}
	}
}

// The choice among a repository's files is llama.cpp's.
func TestQuant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		files       string
		quant, file string
		want        string
	}{
		{"m-F16.gguf m-Q4_K_M.gguf m-Q8_0.gguf", "", "", "m-Q4_K_M.gguf"},
		{"m-F16.gguf m-Q8_0.gguf", "", "", "m-Q8_0.gguf"},
		{"m-BF16.gguf m-F16.gguf README.md", "", "", "m-BF16.gguf"},
		{"m-F16.gguf m-Q8_0.gguf", ":f16", "", "m-F16.gguf"},
		{"m-Q4_0.gguf m-Q4_K_M.gguf", ":Q4", "", ""}, // "Q4" stands in front of "_"
		{"m-Q4_K_M.gguf m-Q4_K_S.gguf", ":q4_k_s", "", "m-Q4_K_S.gguf"},
		{"m-BF16.gguf", ":F16", "", "m-BF16.gguf"}, // llama.cpp finds it, too
		{"m-BF16.gguf m-F16.gguf", ":f16", "", "m-F16.gguf"},
		{"m-IQ4_K_M.gguf m-Q4_K_M.gguf", "", "", "m-Q4_K_M.gguf"},
		{"m-IQ4_K_M.gguf m.Q4_K_M-00001-of-00002.gguf m.Q4_K_M-00002-of-00002.gguf", ":Q4_K_M", "", "m.Q4_K_M-00001-of-00002.gguf"},
		{"Q4_K_M.gguf m-IQ4_K_M.gguf", ":Q4_K_M", "", "Q4_K_M.gguf"},
		{"m-BF16-v2.gguf m-F16-v2.gguf", ":F16", "", "m-F16-v2.gguf"},
		{"m-Q4_0-of-Q8_0.gguf m-Q8_0-of-Q4_0.gguf", ":Q4_0", "", "m-Q8_0-of-Q4_0.gguf"},
		{"mmproj-Q8_0.gguf m.imatrix-Q8_0.gguf mtp-m-Q8_0.gguf", ":Q8_0", "", ""},
		{"Q8_0/m-Q8_0-00001-of-00002.gguf Q8_0/m-Q8_0-00002-of-00002.gguf", ":Q8_0", "", "Q8_0/m-Q8_0-00001-of-00002.gguf"},
		{"a/m-Q2_K.gguf m-Q8_0.gguf", "", "a/m-Q2_K.gguf", "a/m-Q2_K.gguf"},
		{"m-Q8_0.gguf", ":Q8_0", "m-Q2_K.gguf", ""},
		{"m-Q8_0.gguf", ":.*", "", ""},
	} {
		p := places(t, nil)
		putHub(t, p.homePath(".cache", "huggingface", "hub"), "me/M-GGUF", commitA, "main", strings.Fields(tt.files)...)
		flat := places(t, nil)
		for _, f := range strings.Fields(tt.files) {
			put(t, f, flat.Home, ".cache", "llama.cpp", "me_M-GGUF_"+strings.ReplaceAll(f, "/", "_"))
		}
		for layout, p := range map[string]Places{"hub": p, "flat": flat} {
			ref, err := p.FindHF("me/M-GGUF"+tt.quant, tt.file)
			if tt.want == "" {
				says(t, err, "-hf me/M-GGUF"+tt.quant+" is not on this machine", "llama download -hf me/M-GGUF")
				continue
			}
			if err != nil {
				t.Errorf("%s %+v: %v", layout, tt, err)
				continue
			}
			if text, err := os.ReadFile(ref.Path); err != nil || string(text) != tt.want || ref.Name != "M" || ref.SHA256 != "" {
				t.Errorf("%s %+v: %+v holds %q, %v", layout, tt, ref, text, err)
			}
		}
	}
}

// Each variable leads to its cache, in llama.cpp's order; where the first has no such model, the next is asked.
func TestCaches(t *testing.T) {
	t.Parallel()
	dirs := map[string]string{}
	for _, v := range []string{"LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"} {
		dirs[v] = t.TempDir()
	}
	p := places(t, dirs)
	in := map[string]string{
		"a/1": dirs["LLAMA_CACHE"], "a/2": dirs["HF_HUB_CACHE"], "a/3": dirs["HUGGINGFACE_HUB_CACHE"], "a/4": filepath.Join(dirs["HF_HOME"], "hub"),
		"a/5": filepath.Join(dirs["XDG_CACHE_HOME"], "huggingface", "hub"), "a/6": p.homePath(".cache", "huggingface", "hub"),
	}
	for repo, root := range in {
		putHub(t, root, repo, commitA, "main", "m-Q8_0.gguf")
	}
	for repo, root := range in {
		if ref, err := p.FindHF(repo, ""); err != nil || !strings.HasPrefix(ref.Path, root) {
			t.Errorf("%s: %+v, %v; want it in %s", repo, ref, err, root)
		}
	}
	putHub(t, dirs["LLAMA_CACHE"], "a/2", commitA, "main", "m-Q8_0.gguf")
	if ref, err := p.FindHF("a/2", ""); err != nil || !strings.HasPrefix(ref.Path, dirs["LLAMA_CACHE"]) {
		t.Errorf("%+v, %v; want LLAMA_CACHE first", ref, err)
	}
	mac := Places{Getenv: func(string) string { return "" }, Home: t.TempDir(), GOOS: "darwin"}
	want := put(t, "", mac.Home, "Library", "Caches", "llama.cpp", "a_b_m.gguf")
	if ref, err := mac.FindHF("a/b", ""); err != nil || ref.Path != want {
		t.Errorf("macOS: %+v, %v", ref, err)
	}
}

// refs/main decides which snapshot counts; a link whose blob is gone is no file.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	root := p.homePath(".cache", "huggingface", "hub")
	putHub(t, root, "a/b", commitA, "dev", "m-Q4_K_M.gguf")
	putHub(t, root, "a/b", commitB, "main", "m-Q8_0.gguf")
	ref, err := p.FindHF("a/b", "")
	if err != nil || !strings.Contains(ref.Path, commitB) {
		t.Errorf("%+v, %v; want main", ref, err)
	}
	if err := os.Remove(filepath.Join(root, "models--a--b", "blobs", "m-Q8_0.gguf")); err != nil {
		t.Fatal(err)
	}
	_, err = p.FindHF("a/b:Q8_0", "")
	says(t, err, "a link to it and not the file; get it again with: llama download -hf a/b:Q8_0; the link is "+ref.Path)
	if ref, err := p.FindHF("a/b", ""); err != nil || !strings.Contains(ref.Path, commitA) {
		t.Errorf("%+v, %v; want the file that is there", ref, err)
	}
	_, err = p.FindHF("a/b:Q2_K", "")
	says(t, err, "of this repository there is m-Q4_K_M.gguf;")
	put(t, "../../../etc", root, "models--a--c", "refs", "main")
	_, err = p.FindHF("a/c", "")
	says(t, err, "is not on this machine")
	for _, bad := range []string{"", "x", "a/b/c", "a/b:x:y", "../x", "a/..", "a b/c", "-a/b"} {
		_, err := p.FindHF(bad, "")
		says(t, err, "is no repository; give user/repo")
	}
}

// A file is found in a snapshot that no ref leads to, the newest first, and behind a link to another disk; what is asked for by name
// goes before what only contains the name, in whichever cache. The choice tells what is not as the user may think.
func TestStraySnapshots(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	root := p.homePath(".cache", "huggingface", "hub")
	snapshots := filepath.Join(root, "models--a--b", "snapshots")
	putHub(t, root, "a/b", commitA, "main", "m-Q8_0.gguf")
	if err := os.RemoveAll(filepath.Join(root, "models--a--b", "refs")); err != nil {
		t.Fatal(err)
	}
	ref, err := p.FindHF("a/b:Q8_0", "")
	if err != nil || ref.Path != filepath.Join(snapshots, commitA, "m-Q8_0.gguf") || !strings.Contains(ref.Note, "snapshot "+commitA) {
		t.Errorf("no refs: %+v, %v", ref, err)
	}
	put(t, "", snapshots, commitB, "m-Q8_0.gguf")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(snapshots, commitA), old, old); err != nil {
		t.Fatal(err)
	}
	if ref, err = p.FindHF("a/b", ""); err != nil || !strings.Contains(ref.Path, commitB) {
		t.Errorf("two snapshots: %+v, %v; want the newer", ref, err)
	}
	const commitC = "cccccccccccccccccccccccccccccccccccccccc"
	put(t, "only this was fetched", snapshots, commitC, "README.md")
	put(t, commitC, root, "models--a--b", "refs", "main")
	if ref, err = p.FindHF("a/b", ""); err != nil || !strings.Contains(ref.Path, commitB) {
		t.Errorf("a ref without a model: %+v, %v", ref, err)
	}

	disk := put(t, "", t.TempDir(), "x", "m-BF16.gguf")
	linked := filepath.Join(root, "models--a--c", "snapshots", commitA)
	put(t, commitA, root, "models--a--c", "refs", "main")
	if err := os.MkdirAll(filepath.Dir(linked), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(disk), linked); err != nil {
		t.Fatal(err)
	}
	if ref, err = p.FindHF("a/c:F16", ""); err != nil || ref.Path != filepath.Join(linked, "m-BF16.gguf") || !strings.Contains(ref.Note, "only contains F16") {
		t.Errorf("a linked snapshot: %+v, %v", ref, err)
	}
	want := put(t, "", p.Home, ".cache", "llama.cpp", "a_c_m-F16.gguf")
	if ref, err = p.FindHF("a/c:F16", ""); err != nil || ref.Path != want || ref.Note != "" {
		t.Errorf("the quant itself in the other cache: %+v, %v", ref, err)
	}
}
