package pipeline

import "fmt"

// UnsupportedError says that a model is of a kind that cannot be pruned.
type UnsupportedError struct{ Text string }

func (e *UnsupportedError) Error() string { return e.Text }

// CheckError says that a written file does not compute what the masked original computes. The file is gone.
type CheckError struct {
	Path  string
	Text  string // what differed
	Check Check
}

func (e *CheckError) Error() string {
	return fmt.Sprintf("check of %s failed, the file was removed: %s; please report this with the model's name and the mask, or try --layout zeros", e.Path, e.Text)
}
