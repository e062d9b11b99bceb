package modelref

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ollama/ollama/types/model"
)

// Ollama is what Ollama's store keeps with a model besides its weights.
type Ollama struct {
	Name       string // as ollama list shows it: "llama3.2:3b"
	Template   string
	System     string
	Licenses   []string
	Parameters map[string]any // numbers are json.Number
	Messages   []OllamaMessage
	Renderer   string // Ollama's built-in renderer of prompts, "" for the template
	Parser     string
	Projectors []string // paths of further GGUF files: image or sound encoders
}

// OllamaMessage is one of the messages that each conversation begins with.
type OllamaMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// maxLayerText bounds what is read of a manifest, of a text layer, and of all of a model's text layers together: licences are some 10 KB,
// and a manifest may name one text a thousand times.
const maxLayerText = 2 << 20

// manifest is the file that lists a model's layers (the OCI image manifest, of which Ollama uses a part).
type manifest struct {
	Config layer   `json:"config"`
	Layers []layer `json:"layers"`
}

type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"` // "sha256:<64 hexadecimal digits>"
	Size      int64  `json:"size"`
	From      string `json:"from"`
}

const mediaPrefix = "application/vnd.ollama.image."

// ollamaStores are the folders that Ollama may keep its models in: by its own variable, as the user's program, as the service
// that its installer sets up.
func (p Places) ollamaStores() []string {
	if dir := p.ollamaModels(); dir != "" {
		return []string{dir}
	}
	return []string{p.homePath(".ollama", "models"), "/usr/share/ollama/.ollama/models"}
}

// ollamaModels is the folder that OLLAMA_MODELS names, without the blanks and quotes around it that Ollama takes away, too.
func (p Places) ollamaModels() string {
	return strings.Trim(strings.TrimSpace(p.Getenv("OLLAMA_MODELS")), `"'`)
}

// ollama finds a model of Ollama's store. given is the name with its prefix, for messages.
func (p Places) ollama(given, name string) (*Ref, error) {
	n := model.ParseName(name)
	if !n.IsValid() {
		return nil, fmt.Errorf("%s is no name of an Ollama model; give one such as ollama:llama3.2:3b (ollama list shows what is there)", given)
	}
	short := shortName(n)
	stores := existing(p.ollamaStores())
	for _, store := range stores {
		path, err := manifestPath(store, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			s := ollamaStore{dir: store, name: short}
			return s.read(given, n.Model, path)
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("model %s: %s may not be read: permission denied; run as a user who may, or set OLLAMA_MODELS to a store that you can read", given, store)
		}
		return nil, fmt.Errorf("model %s: %w", given, err)
	}
	if n.Tag == "cloud" || strings.HasSuffix(n.Tag, "-cloud") {
		return nil, &NotFoundError{Given: given, Looked: stores, Detail: otherTags(stores, n), Hint: cloudHint}
	}
	hint := "get it with: ollama pull " + short
	switch dir := p.ollamaModels(); {
	case len(stores) == 0 && dir != "":
		hint += fmt.Sprintf(", or correct OLLAMA_MODELS: it is %s, which is no folder", dir)
	case len(stores) == 0:
		hint += ", or set OLLAMA_MODELS to the folder of Ollama's models"
	}
	return nil, &NotFoundError{Given: given, Looked: stores, Detail: otherTags(stores, n), Hint: hint}
}

// cloudHint is what to do about a model that runs elsewhere: to pull it brings no weights.
const cloudHint = "a cloud model has no weights that could be pulled; name one that runs on this machine"

// shortName is the name without what Ollama adds by itself.
func shortName(n model.Name) string { return n.DisplayShortest() }

// manifestPath returns the path of n's manifest. Names are the same in upper and lower case, as in Ollama.
func manifestPath(store string, n model.Name) (string, error) {
	dir := filepath.Join(store, "manifests")
	for _, part := range []string{n.Host, n.Namespace, n.Model, n.Tag} {
		next := filepath.Join(dir, part)
		if _, err := os.Lstat(next); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				return "", err
			}
			next = ""
			for _, e := range entries {
				if strings.EqualFold(e.Name(), part) {
					next = filepath.Join(dir, e.Name())
				}
			}
			if next == "" {
				return "", fs.ErrNotExist
			}
		}
		dir = next
	}
	return dir, nil
}

// otherTags says which tags of the model there are.
func otherTags(stores []string, n model.Name) string {
	var tags []string
	for _, s := range stores {
		entries, _ := os.ReadDir(filepath.Join(s, "manifests", n.Host, n.Namespace, n.Model)) // no folder: no tags
		for _, e := range entries {
			tags = append(tags, ollamaPrefix+strings.TrimSuffix(shortName(n), ":"+n.Tag)+":"+e.Name())
		}
	}
	if len(tags) == 0 {
		return ""
	}
	return "there is " + list(tags)
}

// list joins names, and cuts a long list short.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// ollamaStore is a store in which a model is read.
type ollamaStore struct{ dir, name string }

// broken is the error for a store that is not as Ollama leaves it.
func (s ollamaStore) broken(format string, args ...any) error {
	return fmt.Errorf("model ollama:%s: %s; get it again with: ollama pull %s", s.name, fmt.Sprintf(format, args...), s.name)
}

// read reads the manifest at path and the small layers that it lists.
func (s ollamaStore) read(given, modelName, path string) (*Ref, error) {
	text, err := readLimited(path)
	if err != nil {
		return nil, s.broken("its manifest %s cannot be read: %v", path, err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, s.broken("its manifest %s is damaged: %v", path, err)
	}
	ref := &Ref{Given: given, Name: modelName, Again: "ollama pull " + s.name, Ollama: &Ollama{Name: s.name}}
	left := maxLayerText
	for _, l := range m.Layers {
		if err := s.take(ref, l, &left); err != nil {
			return nil, err
		}
	}
	remote, err := s.config(ref.Ollama, m.Config)
	switch {
	case err != nil:
		return nil, err
	case ref.Path == "" && remote != "":
		return nil, fmt.Errorf("model %s runs on %s, Ollama's manifest of it is a reference: %s", given, remote, cloudHint)
	case ref.Path == "":
		return nil, s.broken("its manifest %s lists no GGUF model", path)
	}
	return ref, nil
}

// take puts one layer into ref. left is how many bytes of text may still come.
func (s ollamaStore) take(ref *Ref, l layer, left *int) error {
	blob, err := s.blob(l)
	if err != nil {
		return err
	}
	o := ref.Ollama
	kind := strings.TrimPrefix(l.MediaType, mediaPrefix)
	switch kind {
	case "model":
		if ref.Path != "" {
			return s.broken("it has several model files, which is no form that can be pruned")
		}
		ref.Path, ref.SHA256 = blob, strings.TrimPrefix(l.Digest, "sha256:")
		return s.checkSize(blob, l)
	case "projector":
		o.Projectors = append(o.Projectors, blob)
		return s.checkSize(blob, l)
	case "adapter":
		return fmt.Errorf("model ollama:%s has a LoRA adapter, whose layers would no longer fit; merge it into the model first (llama-export-lora), or name the model that it is for", s.name)
	case "tensor":
		return fmt.Errorf("model ollama:%s is stored as single tensors and not as a GGUF file; name a model in GGUF format", s.name)
	case "template", "prompt", "system", "license", "params", "messages":
	default:
		return nil // nothing that llama.cpp or a Modelfile knows
	}
	text, err := s.text(blob, l)
	if err != nil {
		return err
	}
	if *left -= len(text); *left < 0 {
		return s.broken("its licences and other texts are larger than %d MiB", maxLayerText>>20)
	}
	switch kind {
	case "template", "prompt":
		o.Template = string(text)
	case "system":
		o.System = string(text)
	case "license":
		o.Licenses = append(o.Licenses, string(text))
	case "params":
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&o.Parameters); err != nil {
			return s.broken("its parameters %s are damaged: %v", blob, err)
		}
	case "messages":
		if err := json.Unmarshal(text, &o.Messages); err != nil {
			return s.broken("its messages %s are damaged: %v", blob, err)
		}
	}
	return nil
}

// blob returns the path of a layer's blob.
func (s ollamaStore) blob(l layer) (string, error) {
	hex, ok := strings.CutPrefix(l.Digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", s.broken("its manifest has the digest %q", l.Digest)
	}
	blob := filepath.Join(s.dir, "blobs", "sha256-"+hex)
	// Old versions of Ollama named them sha256:<digits>. Later ones rename them when they start, which none has done yet in a
	// store that was copied or is read-only.
	if _, err := os.Stat(blob); errors.Is(err, fs.ErrNotExist) {
		if old := filepath.Join(s.dir, "blobs", l.Digest); isFile(old) {
			return old, nil
		}
	}
	return blob, nil
}

// checkSize finds blobs that are missing or cut short, without reading them.
func (s ollamaStore) checkSize(blob string, l layer) error {
	info, err := os.Stat(blob)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.broken("its file %s is missing", blob)
	case err != nil:
		return fmt.Errorf("model ollama:%s: %w; run as a user who may read it", s.name, err)
	case info.Size() != l.Size:
		return s.broken("its file %s has %d bytes, and its manifest says %d", blob, info.Size(), l.Size)
	}
	return nil
}
