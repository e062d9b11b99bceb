package modelref

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// lmStudioFolders are where LM Studio may keep its models: where its settings say, below its home, which a file of one line
// may name, and the two homes that it has had by default.
func (p Places) lmStudioFolders() []string {
	var homes, out []string
	if p.Home != "" {
		if text, err := readLimited(p.homePath(".lmstudio-home-pointer")); err == nil {
			homes = append(homes, strings.TrimSpace(string(text)))
		}
		homes = append(homes, p.homePath(".lmstudio"), p.homePath(".cache", "lm-studio"))
	}
	for _, home := range homes {
		if home == "" {
			continue
		}
		var settings struct {
			Folder string `json:"downloadsFolder"`
		}
		if text, err := readLimited(filepath.Join(home, "settings.json")); err == nil && json.Unmarshal(text, &settings) == nil {
			out = append(out, settings.Folder)
		}
		out = append(out, filepath.Join(home, "models"))
	}
	return out
}

// lmStudio finds a model of LM Studio's folder, publisher/model/file.gguf. The publisher may be left out where only one has a
// model of the name, the file where there is only one. A model may have its quant behind it, publisher/model@q4_k_m, as
// lms ls --variants prints it. Upper and lower case are the same.
func (p Places) lmStudio(given, name string) (*Ref, error) {
	parts := strings.Split(name, "/")
	if name == "" || len(parts) > 3 || slices.ContainsFunc(parts, func(s string) bool { return s == "" || s == "." || s == ".." }) {
		return nil, fmt.Errorf("%s is no name of a model in LM Studio; give one such as lmstudio:publisher/model", given)
	}
	folders := existing(p.lmStudioFolders())
	found := lmFind(folders, parts, "")
	if base, quant, ok := strings.Cut(name, "@"); ok && len(found) == 0 && len(parts) < 3 {
		if quant == "" {
			return nil, fmt.Errorf("%s names no quant behind the @; give one such as %s@q4_k_m", given, lmStudioPrefix+base)
		}
		found = lmFind(folders, strings.Split(base, "/"), quant)
	}
	switch {
	case len(found) == 0:
		return nil, &NotFoundError{Given: given, Looked: folders, Hint: "download it in LM Studio or with: lms get " + name}
	case len(found) == 1:
		m := found[0]
		return &Ref{Given: given, Path: m.path, Name: strings.TrimSuffix(m.model, "-GGUF"), Again: "lms get " + m.publisher + "/" + m.model}, nil
	}
	var names []string
	for _, m := range found {
		names = append(names, lmStudioPrefix+m.publisher+"/"+m.model+"/"+m.file)
	}
	return nil, fmt.Errorf("%s may be %d models; give one of %s", given, len(found), list(names))
}

// lmFind returns the models of the folders with this name and quant, "" for any.
func lmFind(folders, parts []string, quant string) (found []lmModel) {
	for _, folder := range folders {
		for _, m := range lmModels(folder) {
			if m.matches(parts) && (quant == "" || quantAtEnd(quant).MatchString(m.file)) {
				found = append(found, m)
			}
		}
	}
	return found
}

// lmModel is a GGUF file in LM Studio's folder.
type lmModel struct{ publisher, model, file, path string }

// matches reports whether a name of one to three parts is the model's: model, publisher/model or publisher/model/file.
func (m lmModel) matches(parts []string) bool {
	full := []string{m.publisher, m.model, m.file}
	if len(parts) == 1 {
		full = full[1:]
	}
	for i, part := range parts {
		if !strings.EqualFold(part, full[i]) && !(len(parts) < 3 && strings.EqualFold(part+"-GGUF", full[i])) {
			return false
		}
	}
	return true
}

// lmModels lists the models in folder. A folder that cannot be read has none.
func lmModels(folder string) (out []lmModel) {
	for _, publisher := range names(folder) {
		for _, model := range names(filepath.Join(folder, publisher)) {
			for _, file := range names(filepath.Join(folder, publisher, model)) {
				if path := filepath.Join(folder, publisher, model, file); isModel(file) && isFile(path) {
					out = append(out, lmModel{publisher, model, file, path})
				}
			}
		}
	}
	return out
}

// names returns what is in a folder, sorted.
func names(dir string) (out []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
