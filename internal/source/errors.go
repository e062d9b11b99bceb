package source

// UnsupportedError says that a model is of a kind that cannot be pruned.
type UnsupportedError struct{ Text string }

func (e *UnsupportedError) Error() string { return e.Text }
