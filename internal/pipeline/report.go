package pipeline

// Reporter is told what happens during a job. Package ui prints it.
type Reporter interface {
	Notef(format string, args ...any)
	Warnf(format string, args ...any)

	// Start begins a piece of work of total units; its Progress is stopped when it ends.
	Start(label string, total int64) Progress
}

// Progress is how far a piece of work has come; note says what is going on now.
type Progress = interface {
	Set(done int64, note string)
	Stop()
}
