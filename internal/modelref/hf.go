package modelref

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// FindHF finds the model of llama.cpp's -hf user/repo[:quant] in the caches of llama.cpp and of Hugging Face. file, unless
// empty, is -hff: a file of the repository, which overrides the quant.
//
// The rules are llama.cpp's (common/download.cpp, find_best_model): the first GGUF model whose name has the quant in front of a
// dot or a dash, in upper or lower case; without a quant Q4_K_M, else Q8_0, else the first; of a split model the first file.
// By these rules F16 is found in BF16 and Q4_K_M in IQ4_K_M, so a file of just this quant comes first. Where llama.cpp takes a
// folder's order, which is random, names are sorted here, as the hub lists them. It looks into the snapshot of one ref only;
// here the others are looked into after that.
func (p Places) FindHF(name, file string) (*Ref, error) {
	repo, quant, _ := strings.Cut(name, ":")
	if !validRepo(repo) || strings.Contains(quant, ":") {
		return nil, fmt.Errorf("-hf %s is no repository; give user/repo or user/repo:quant, such as ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", name)
	}
	roots := existing(p.hubs())
	flat := existing(p.llamaCaches())
	caches := slices.Concat(hubFiles(roots, repo), flatFiles(flat, repo))
	found, ok := choose(caches, quant, file)
	if ok && found.gone {
		return nil, fmt.Errorf("model -hf %s: the cache has a link to it and not the file; get it again with: %s; the link is %s", name, downloadCommand(name, file), found.path)
	}
	if ok {
		return &Ref{
			Given: "-hf " + name, Path: found.path, Name: strings.TrimSuffix(repo[strings.Index(repo, "/")+1:], "-GGUF"),
			Again: downloadCommand(name, file), Note: found.note,
		}, nil
	}
	var files []string // of all caches, by their names in the repository
	for _, c := range caches {
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

// cachedFile is a file of a repository.
type cachedFile struct {
	name, path string // in the repository, on this machine
	gone       bool   // a link that leads nowhere
	note       string // what is worth telling of its choice; may be ""
}

// cached are a repository's files in one snapshot or cache, sorted by name.
type cached []cachedFile

// hubFiles lists the repository's files in caches of the hub's layout: models--user--repo/snapshots/COMMIT/..., where
// refs/main has the commit.
func hubFiles(roots []string, repo string) (out []cached) {
	for _, root := range roots {
		dir := filepath.Join(root, "models--"+strings.ReplaceAll(repo, "/", "--"))
		named := commits(dir)
		for _, commit := range slices.Concat(named, strays(dir, named)) {
			note := ""
			if !slices.Contains(named, commit) {
				note = "it is of the snapshot " + commit + ", which no branch or tag in the cache names"
			}
			out = append(out, snapshot(filepath.Join(dir, "snapshots", commit), note))
		}
	}
	return out
}

// snapshot lists the files below dir, which may be a link to a folder elsewhere.
func snapshot(dir, note string) (c cached) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	// A folder that cannot be read has no models for us.
	_ = filepath.WalkDir(real, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		name, err := filepath.Rel(real, path)
		gone := e.Type()&fs.ModeSymlink != 0 && isGone(path)
		if err == nil && (gone || isFile(path)) {
			c = append(c, cachedFile{name: filepath.ToSlash(name), path: filepath.Join(dir, name), gone: gone, note: note})
		}
		return nil
	})
	return c
}

// commits returns the snapshots of a repository's folder to look into first: that of refs/main, then those of other refs by name.
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
		if commit := strings.TrimSpace(line); err == nil && isCommit(commit) && !slices.Contains(out, commit) {
			out = append(out, commit)
		}
	}
	return out
}

// strays returns the snapshots that no ref leads to, the newest first: a download by commit makes no ref, and a ref that moved on
// leaves the older snapshot behind.
func strays(dir string, named []string) (out []string) {
	made := map[string]time.Time{}
	for _, name := range names(filepath.Join(dir, "snapshots")) {
		if info, err := os.Stat(filepath.Join(dir, "snapshots", name)); err == nil && isCommit(name) && !slices.Contains(named, name) {
			made[name] = info.ModTime()
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return made[b].Compare(made[a]) })
	return out
}

// isCommit reports whether s is a commit's hash.
func isCommit(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
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
				c = append(c, cachedFile{name: name, path: path})
			}
		}
		out = append(out, c)
	}
	return out
}

// choose returns the file that is asked for. A file that is there goes before a link that leads nowhere, and a quant's own file
// before one that has its name as a part of another, whichever cache they are in.
func choose(caches []cached, quant, file string) (cachedFile, bool) {
	var rules []func(c cached) cached
	switch {
	case file != "":
		rules = append(rules, func(c cached) cached { return c.called(file) })
	case quant != "":
		rules = append(rules, func(c cached) cached { return c.just(quant) }, func(c cached) cached { return c.within(quant) })
	default:
		rules = append(rules, func(c cached) cached {
			return slices.Concat(c.just("Q4_K_M"), c.within("Q4_K_M"), c.just("Q8_0"), c.within("Q8_0"), c.within(""))
		})
	}
	for _, rule := range rules {
		for _, gone := range []bool{false, true} {
			for _, c := range caches {
				for _, f := range rule(c) {
					if f.gone == gone {
						return f, true
					}
				}
			}
		}
	}
	return cachedFile{}, false
}

// called returns the file of this name.
func (c cached) called(name string) cached {
	return c.that(func(f cachedFile) bool { return f.name == name || f.name == strings.ReplaceAll(name, "/", "_") })
}

// just returns the models whose names end in the quant, as the tag of llama.cpp's get_gguf_split_info does.
func (c cached) just(quant string) cached {
	match := quantAtEnd(quant)
	return c.that(func(f cachedFile) bool { return isModel(f.name) && match.MatchString(f.name) })
}

// quantAtEnd matches names of files that end in the quant.
func quantAtEnd(quant string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[-./])` + regexp.QuoteMeta(quant) + `(-\d{5}-of-\d{5})?\.gguf$`)
}

// within returns the models whose names have the quant in front of a dot or a dash, as llama.cpp takes them. Those that have it as
// the end of a longer word stand last, with a note. An empty quant is in all.
func (c cached) within(quant string) cached {
	if quant == "" {
		return c.that(func(f cachedFile) bool { return isModel(f.name) })
	}
	match := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(quant) + `[.-]`)
	word := regexp.MustCompile(`(?i)(^|[^a-z0-9_])` + regexp.QuoteMeta(quant) + `[.-]`)
	out := c.that(func(f cachedFile) bool { return isModel(f.name) && word.MatchString(f.name) })
	for _, f := range c.that(func(f cachedFile) bool {
		return isModel(f.name) && match.MatchString(f.name) && !word.MatchString(f.name)
	}) {
		f.note = "its name only contains " + quant + "; llama.cpp takes it, too"
		out = append(out, f)
	}
	return out
}

// that returns the files of which ok says so.
func (c cached) that(ok func(cachedFile) bool) (out cached) {
	for _, f := range c {
		if ok(f) {
			out = append(out, f)
		}
	}
	return out
}

// models are the names that best chooses from.
func (c cached) models() (out []string) {
	for _, f := range c {
		if isModel(f.name) && !f.gone {
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
