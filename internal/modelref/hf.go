package modelref

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// FindHF finds the model of llama.cpp's -hf user/repo[:quant] in the caches of llama.cpp and of Hugging Face. file, unless
// empty, is -hff: a file of the repository, which overrides the quant.
//
// The rules are llama.cpp's (common/download.cpp, find_best_model): the first GGUF model whose name has the quant in front of a
// dot or a dash, in upper or lower case; without a quant Q4_K_M, else Q8_0, else the first; of a split model the first file.
// Where llama.cpp takes a folder's order, which is random, names are sorted here, as the hub lists them.
func (p Places) FindHF(name, file string) (*Ref, error) {
	repo, quant, _ := strings.Cut(name, ":")
	if !validRepo(repo) || strings.Contains(quant, ":") {
		return nil, fmt.Errorf("-hf %s is no repository; give user/repo or user/repo:quant, such as ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", name)
	}
	roots := existing(p.hubs())
	flat := existing(p.llamaCaches())
	var files []string // of all caches, by their names in the repository
	for _, c := range slices.Concat(hubFiles(roots, repo), flatFiles(flat, repo)) {
		if path, ok := c.best(quant, file); ok {
			return &Ref{Given: "-hf " + name, Path: path, Name: strings.TrimSuffix(repo[strings.Index(repo, "/")+1:], "-GGUF"), Again: downloadCommand(name, file)}, nil
		}
		files = append(files, c.models()...)
	}
	e := &NotFoundError{Given: "-hf " + name, Looked: slices.Concat(roots, except(flat, roots)), Hint: "download it with: " + downloadCommand(name, file)}
	if len(files) > 0 {
		slices.Sort(files)
		e.Detail = "of this repository there is " + list(slices.Compact(files))
	}
	return nil, e
}

// downloadCommand is what fetches the model into the first cache.
func downloadCommand(name, file string) string {
	if file != "" {
		repo, _, _ := strings.Cut(name, ":")
		return "llama download -hf " + repo + " -hff " + file
	}
	return "llama download -hf " + name
}

// except returns the strings of a that are not in b.
func except(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// repoName is what the hub allows: words of letters, digits and underscores with single dots and dashes between them.
var repoName = regexp.MustCompile(`^\w+([.-]\w+)*/\w+([.-]\w+)*$`)

func validRepo(s string) bool { return len(s) <= 256 && repoName.MatchString(s) }

// hubs are the caches in the hub's layout, as llama.cpp looks for them (common/hf-cache.cpp). It takes the first that is set;
// here all are looked into, since Hugging Face's own programs do not know LLAMA_CACHE.
func (p Places) hubs() []string {
	var out []string
	for _, c := range []struct{ variable, below string }{
		{"LLAMA_CACHE", ""}, {"HF_HUB_CACHE", ""}, {"HUGGINGFACE_HUB_CACHE", ""}, {"HF_HOME", "hub"}, {"XDG_CACHE_HOME", "huggingface/hub"},
	} {
		if v := p.Getenv(c.variable); v != "" {
			out = append(out, filepath.Join(v, filepath.FromSlash(c.below)))
		}
	}
	return append(out, p.homePath(".cache", "huggingface", "hub"))
}

// llamaCaches are the folders in which llama.cpp kept its downloads before it took the hub's layout (common/common.cpp,
// fs_get_cache_directory).
func (p Places) llamaCaches() []string {
	if v := p.Getenv("LLAMA_CACHE"); v != "" {
		return []string{v}
	}
	switch p.GOOS {
	case "darwin":
		return []string{p.homePath("Library", "Caches", "llama.cpp")}
	case "windows":
		return []string{filepath.Join(p.Getenv("LOCALAPPDATA"), "llama.cpp")}
	}
	var out []string
	if v := p.Getenv("XDG_CACHE_HOME"); v != "" {
		out = append(out, filepath.Join(v, "llama.cpp"))
	}
	return append(out, p.homePath(".cache", "llama.cpp"))
}

// cached are a repository's files in one cache: their names in the repository and their paths, sorted by name.
type cached []struct{ name, path string }

// hubFiles lists the repository's files in caches of the hub's layout: models--user--repo/snapshots/COMMIT/..., where
// refs/main has the commit.
func hubFiles(roots []string, repo string) (out []cached) {
	for _, root := range roots {
		dir := filepath.Join(root, "models--"+strings.ReplaceAll(repo, "/", "--"))
		for _, commit := range commits(dir) {
			snapshot := filepath.Join(dir, "snapshots", commit)
			var c cached
			// A folder that cannot be read has no models for us.
			_ = filepath.WalkDir(snapshot, func(path string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() && isFile(path) { // a link to a blob that is gone is no file
					if name, err := filepath.Rel(snapshot, path); err == nil {
						c = append(c, struct{ name, path string }{filepath.ToSlash(name), path})
					}
				}
				return nil
			})
			out = append(out, c)
		}
	}
	return out
}

// commits returns the snapshots of a repository's folder to look into: that of refs/main, then those of other refs by name.
func commits(dir string) []string {
	refs, err := os.ReadDir(filepath.Join(dir, "refs"))
	if err != nil {
		return nil
	}
	slices.SortStableFunc(refs, func(a, b fs.DirEntry) int {
		if (a.Name() == "main") != (b.Name() == "main") {
			if a.Name() == "main" {
				return -1
			}
			return 1
		}
		return 0
	})
	var out []string
	for _, r := range refs {
		text, err := readLimited(filepath.Join(dir, "refs", r.Name()))
		line, _, _ := strings.Cut(string(text), "\n")
		commit := strings.TrimSpace(line)
		if err == nil && len(commit) == 40 && strings.Trim(commit, "0123456789abcdefABCDEF") == "" && !slices.Contains(out, commit) {
			out = append(out, commit)
		}
	}
	return out
}

// flatFiles lists the repository's files in llama.cpp's old layout: user_repo_file.gguf, with slashes of the file's name turned
// into underscores.
func flatFiles(dirs []string, repo string) (out []cached) {
	prefix := strings.ReplaceAll(repo, "/", "_") + "_"
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		var c cached
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), prefix)
			if path := filepath.Join(dir, e.Name()); ok && isFile(path) {
				c = append(c, struct{ name, path string }{name, path})
			}
		}
		out = append(out, c)
	}
	return out
}

// best chooses by llama.cpp's rules.
func (c cached) best(quant, file string) (string, bool) {
	if file != "" {
		for _, f := range c {
			if f.name == file || f.name == strings.ReplaceAll(file, "/", "_") {
				return f.path, true
			}
		}
		return "", false
	}
	patterns := []string{quant}
	if quant == "" {
		patterns = []string{"Q4_K_M", "Q8_0", ""}
	}
	for _, q := range patterns {
		match := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(q) + `[.-]`)
		for _, f := range c {
			if isModel(f.name) && match.MatchString(f.name) {
				return f.path, true
			}
		}
	}
	return "", false
}

// models are the names that best chooses from.
func (c cached) models() (out []string) {
	for _, f := range c {
		if isModel(f.name) {
			out = append(out, f.name)
		}
	}
	return out
}

// laterShard matches the second and later files of a split model.
var laterShard = regexp.MustCompile(`(?i)-\d{5}-of-\d{5}\.gguf$`)

// isModel reports whether a file is a whole model or the first file of one, and no projector, draft or importance matrix.
func isModel(name string) bool {
	base := name[strings.LastIndex(name, "/")+1:]
	if !strings.HasSuffix(base, ".gguf") {
		return false
	}
	for _, other := range []string{"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"} {
		if strings.Contains(base, other) {
			return false
		}
	}
	return !laterShard.MatchString(base) || strings.Contains(base, "-00001-of-")
}
