// Package planfile reads and writes the files of plans and of orders.
package planfile

import (
	"fmt"
	"io"
	"os"

	"github.com/ggufprune/ggufprune/blockmask"
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
	data, err := read(path, "plan")
	if err != nil {
		return nil, err
	}
	p, err := plan.Decode(data)
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return p, nil
}

// read returns the content of a file, up to a byte more than one may have.
func read(path, what string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, plan.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return data, nil
}

// ReadOrder returns the blocks of the order at path, in the order of their removal: see [plan.DecodeOrder].
func ReadOrder(path string) ([]blockmask.Block, error) {
	data, err := read(path, "order")
	if err != nil {
		return nil, err
	}
	blocks, err := plan.DecodeOrder(data)
	if err != nil {
		return nil, fmt.Errorf("%s is no usable order: %w", path, err)
	}
	return blocks, nil
}

// WriteOrder writes the plan's order to path, as [Write] does a plan.
func WriteOrder(path string, p *plan.Plan) error {
	data, err := p.EncodeOrder()
	if err != nil {
		return err
	}
	if err := outfile.WriteFile(path, data, true); err != nil {
		return fmt.Errorf("write order: %w", err)
	}
	return nil
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
