package paperbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/perplexity"
)

// script is the reference, from the repository's root.
const script = "scripts/paper_reference.py"

// documents are what both sides measure on, as token ids.
type documents struct {
	Documents [][]engine.Token `json:"documents"`
}

// reference is what the published algorithm did, as the script writes it.
type reference struct {
	documents
	SHA256   string            `json:"model_sha256"`
	Threads  int               `json:"threads"`
	Batch    int               `json:"batch"` // most tokens at once
	Versions map[string]string `json:"versions"`
	Load     float64           `json:"load_cpu_s"`
	Whole    struct {
		PPL jsonnum.Float `json:"ppl"`
		CPU float64       `json:"cpu_s"`
	} `json:"whole"`
	Steps []referenceStep `json:"steps"`
}

// referenceStep is one removal.
type referenceStep struct {
	Candidates []referenceCandidate `json:"candidates"`
	Removed    string               `json:"removed"`
	CPU        float64              `json:"cpu_s"`

	removed blockmask.Mask
	ppl     map[string]float64 // by the candidate's mask
}

type referenceCandidate struct {
	Block string        `json:"block"` // as masks are written: "attn:3"
	PPL   jsonnum.Float `json:"ppl"`
}

// readReference reads the file of the reference.
func readReference(path string) (*reference, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ref := &reference{}
	if err := json.Unmarshal(raw, ref); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := ref.check(); err != nil {
		return nil, fmt.Errorf("%s %w; write it anew with %s", path, err, script)
	}
	return ref, nil
}

// check reads the names of blocks, and refuses what cannot be compared with.
func (f *reference) check() error {
	if len(f.Steps) == 0 || len(f.Documents) == 0 || f.Threads < 1 || f.Batch < 1 {
		return errors.New("has no steps, no documents, or does not say how they ran")
	}
	if slices.ContainsFunc(f.Documents, func(d []engine.Token) bool { return len(d) < 2 }) {
		return errors.New("has a document without a token to predict")
	}
	for i := range f.Steps {
		s := &f.Steps[i]
		s.ppl = map[string]float64{}
		for _, c := range s.Candidates {
			m, err := oneBlock(c.Block)
			if err != nil {
				return fmt.Errorf("has in step %d %w", i+1, err)
			}
			s.ppl[m.String()] = float64(c.PPL)
		}
		var err error
		if s.removed, err = oneBlock(s.Removed); err != nil {
			return fmt.Errorf("has in step %d %w", i+1, err)
		}
		if _, ok := s.ppl[s.removed.String()]; !ok {
			return fmt.Errorf("removes %s in step %d, which is no candidate there", s.Removed, i+1)
		}
	}
	return nil
}

func oneBlock(s string) (blockmask.Mask, error) {
	m, err := blockmask.Parse(s)
	if err == nil && len(m) != 1 {
		err = fmt.Errorf("%q where one block belongs", s)
	}
	return m, err
}

// set is the reference's documents.
func (f *reference) set() *perplexity.Set {
	set := &perplexity.Set{Convention: perplexity.Samples, Corpus: "the reference's documents"}
	for _, ids := range f.Documents {
		set.Sequences = append(set.Sequences, engine.Sequence{Tokens: ids, Targets: append(slices.Clone(ids[1:]), engine.Unscored)})
	}
	set.Context = set.Longest()
	return set
}

// runReference tokenises the documents and has PyTorch search on them.
func (o options) runReference(ctx context.Context, dir, out string) error {
	python, err := exec.LookPath(o.python)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist; run make bench-paper, or name a Python that has what scripts/paper_requirements.txt lists with -python", o.python)
	}
	if err != nil {
		return err
	}
	docs := filepath.Join(dir, "documents.json")
	if err := o.writeDocuments(ctx, docs); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, python, script, o.model, docs, out,
		"--steps", strconv.Itoa(o.steps), "--threads", strconv.Itoa(o.threads), "--batch", strconv.Itoa(o.text.Batch))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	return nil
}

// writeDocuments writes the documents' tokens.
func (o options) writeDocuments(ctx context.Context, path string) error {
	text, err := o.text.Read()
	if err != nil {
		return err
	}
	src, err := o.open(ctx, o.threads)
	if err != nil {
		return err
	}
	defer src.Close()
	set, err := o.text.Set(text, src.Model)
	if err != nil {
		return err
	}
	fmt.Println(set.Describe())
	var docs documents
	for _, s := range set.Sequences {
		docs.Documents = append(docs.Documents, s.Tokens)
	}
	raw, err := json.Marshal(docs)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}
