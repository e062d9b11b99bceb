// Package planfile reads and writes the files of plans.
package planfile

import (
	"fmt"
	"io"
	"os"

	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Error says why a file is no plan that this program can use.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s is no usable plan: %v", e.Path, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Read reads and checks the plan at path. What is wrong with its content is an [Error].
func Read(path string) (*plan.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, plan.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, err := plan.Decode(data)
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return p, nil
}

// Write writes the plan to path, replacing what is there: at every moment path is the old file or the whole new one.
func Write(path string, p *plan.Plan) error {
	data, err := p.Encode()
	if err != nil {
		return err
	}
	if err := outfile.WriteFile(path, data, true); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}
