package progress

import (
	"time"
)

// Sink is told what happens during a job. Package ui prints it.
type Sink interface {
	Notef(format string, args ...any)
	Warnf(format string, args ...any)

	// Start begins a piece of work of total units; its Bar is stopped when it ends.
	Start(label string, total int64) Bar

	// Event is told to programs that follow along; v is one of the Event types.
	Event(v any)

	// OnStatus has f tell where the job is, when the user asks, until the returned function is called.
	OnStatus(f func() string) (stop func())
}

// Bar is how far a piece of work has come; note says what is going on now.
type Bar = interface {
	Set(done int64, note string)
	Left(d time.Duration)
	Stop()
}
