package write

import (
	"cmp"
	"fmt"
)

// CheckError says that a written file does not compute what the masked original computes. The file is gone.
type CheckError struct {
	Path  string
	Text  string // what differed
	Check Check
	Hint  string // what to do, in place of the usual
}

func (e *CheckError) Error() string {
	hint := cmp.Or(e.Hint, "please report this with the model's name and the mask, or try --layout zeros")
	return fmt.Sprintf("check of %s failed, the file was removed: %s; %s", e.Path, e.Text, hint)
}
