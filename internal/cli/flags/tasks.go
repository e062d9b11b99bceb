package flags

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/evaluate"
)

// Tasks are files of multiple-choice tasks.
type Tasks struct {
	files []string
	limit int
}

// AddFlags adds the flags; what says what the tasks are for.
func (t *Tasks) AddFlags(fs *pflag.FlagSet, what string) {
	fs.StringArrayVar(&t.files, "task", nil, "`NAME=FILE` "+what+"; NAME is hellaswag, winogrande, piqa, arc-easy or arc-challenge; with a binary multiple-choice "+
		"file any name")
	fs.IntVar(&t.limit, "limit", 0, "`N` only the first N items of each file")
}

// Resolve checks the flags. No file is none.
func (t *Tasks) Resolve() (out []evaluate.TaskFile, limit int, err error) {
	if t.limit < 0 || t.limit > 1<<30 {
		return nil, 0, Errorf("--limit is %d; give 0 to %d", t.limit, 1<<30)
	}
	if t.limit > 0 && len(t.files) == 0 {
		return nil, 0, Errorf("--limit is for tasks; add --task NAME=FILE")
	}
	for _, v := range t.files {
		name, path, ok := strings.Cut(v, "=")
		if !ok || name == "" || path == "" {
			return nil, 0, Errorf("--task is %q; give NAME=FILE, such as piqa=piqa_valid.jsonl", v)
		}
		out = append(out, evaluate.TaskFile{Name: name, Path: path})
	}
	return out, t.limit, nil
}
