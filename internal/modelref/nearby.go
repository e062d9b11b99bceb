package modelref

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ollama/ollama/types/model"
)

// Neighbour is a GGUF file on this machine. Of a split model it is the first file.
type Neighbour struct {
	Name string // "ollama:llama3.2:3b", "lmstudio:publisher/model/file.gguf", else the file's name
	Path string
	Near bool // it is beside the file that was asked about, in its repository, or another tag of its model in Ollama
}

// Nearby lists the models that lie where the model at path may have relatives, the near ones first: in its folder, in its
// repository, in Ollama; then whatever else the stores have. Only names and Ollama's manifests are read, so most of what it
// returns are other models, and the model itself is among them. A file may come several times, by several names. What cannot
// be read is left out.
func (p Places) Nearby(path string) []Neighbour {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	all := beside(filepath.Dir(abs), true)
	repo := repositoryOf(abs)
	if repo != "" {
		all = append(all, inRepository(repo, true)...)
	}
	all = append(all, p.ollamaNeighbours(abs)...)
	for _, folder := range existing(p.lmStudioFolders()) {
		for _, m := range lmModels(folder) {
			all = append(all, Neighbour{Name: lmStudioPrefix + m.publisher + "/" + m.model + "/" + m.file, Path: m.path})
		}
	}
	for _, hub := range existing(p.hubs()) {
		for _, dir := range names(hub) {
			if dir = filepath.Join(hub, dir); dir != repo && isRepository(dir) {
				all = append(all, inRepository(dir, false)...)
			}
		}
	}
	for _, cache := range existing(p.llamaCaches()) {
		all = append(all, beside(cache, false)...)
	}
	slices.SortStableFunc(all, func(a, b Neighbour) int {
		switch {
		case a.Near == b.Near:
			return 0
		case a.Near:
			return -1
		}
		return 1
	})
	return all
}

// beside lists the models in a folder.
func beside(dir string, near bool) (out []Neighbour) {
	for _, name := range names(dir) {
		if path := filepath.Join(dir, name); isModel(name) && !strings.HasPrefix(name, ".") && isFile(path) {
			out = append(out, Neighbour{Name: name, Path: path, Near: near})
		}
	}
	return out
}

// isRepository reports whether a folder is named as the hub's cache names one of a model.
func isRepository(dir string) bool { return strings.HasPrefix(filepath.Base(dir), "models--") }

// repositoryOf returns the folder models--user--repo that path is in, "" for none.
func repositoryOf(path string) string {
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if isRepository(dir) {
			return dir
		}
	}
	return ""
}

// inRepository lists the models in all snapshots of a repository.
func inRepository(dir string, near bool) (out []Neighbour) {
	for _, commit := range names(filepath.Join(dir, "snapshots")) {
		for _, f := range snapshot(filepath.Join(dir, "snapshots", commit), "") {
			if isModel(f.name) && !f.gone {
				out = append(out, Neighbour{Name: filepath.Base(f.path), Path: f.path, Near: near})
			}
		}
	}
	return out
}

// ollamaNeighbours lists what Ollama has. Near are those that have the name of a model whose file is at path, with any tag.
func (p Places) ollamaNeighbours(path string) (out []Neighbour) {
	family := map[string]bool{}
	var families []string // of each of out
	p.eachOllama(func(store, manifest string, n model.Name) {
		blob := weightsOf(store, manifest)
		if blob == "" {
			return
		}
		name := strings.ToLower(strings.Join([]string{n.Host, n.Namespace, n.Model}, "/"))
		if blob == path {
			family[name] = true
		}
		out, families = append(out, Neighbour{Name: ollamaPrefix + shortName(n), Path: blob}), append(families, name)
	})
	for i := range out {
		out[i].Near = family[families[i]]
	}
	return out
}

// weightsOf returns the file of a model that is one whole GGUF file by its manifest, "" for any other.
func weightsOf(store, path string) string {
	var m manifest
	text, err := readLimited(path)
	if err != nil || json.Unmarshal(text, &m) != nil {
		return ""
	}
	blob := ""
	for _, l := range m.Layers {
		switch strings.TrimPrefix(l.MediaType, mediaPrefix) {
		case "adapter", "tensor":
			return "" // it is no model without what is elsewhere
		case "model":
			s := ollamaStore{dir: store}
			at, err := s.blob(l)
			if err != nil || blob != "" || !isFile(at) {
				return ""
			}
			blob = at
		}
	}
	return blob
}
