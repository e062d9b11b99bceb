package modelref

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ollama/ollama/types/model"
)

// Names lists the models of Ollama and LM Studio as -m takes them, sorted. What cannot be read is left out.
func (p Places) Names() []string {
	var out []string
	p.eachOllama(func(_, _ string, n model.Name) { out = append(out, ollamaPrefix+shortName(n)) })
	for _, folder := range existing(p.lmStudioFolders()) {
		for _, m := range lmModels(folder) {
			out = append(out, lmStudioPrefix+m.publisher+"/"+m.model)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Repositories lists the repositories in the caches of the hub's layout, as -hf takes them, sorted.
func (p Places) Repositories() []string {
	var out []string
	for _, hub := range existing(p.hubs()) {
		for _, dir := range names(hub) {
			if repo, ok := strings.CutPrefix(dir, "models--"); ok {
				if repo = strings.Replace(repo, "--", "/", 1); validRepo(repo) {
					out = append(out, repo)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachOllama calls f for each model of Ollama's stores, with the store's folder and the manifest's path.
func (p Places) eachOllama(f func(store, manifest string, n model.Name)) {
	for _, store := range existing(p.ollamaStores()) {
		root := filepath.Join(store, "manifests")
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			rel, err := filepath.Rel(root, path)
			parts := strings.Split(filepath.ToSlash(rel), "/")
			if err == nil && len(parts) == 4 { // host, namespace, model, tag
				n := model.Name{Host: parts[0], Namespace: parts[1], Model: parts[2], Tag: parts[3]}
				if n.IsValid() {
					f(store, path, n)
				}
			}
			return nil
		})
	}
}
