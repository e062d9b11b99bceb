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

// Bar is how far a piece of work has come. One goroutine at a time uses it.
type Bar interface {
	// Set says that done of the total units of work are finished; note says what is going on now.
	Set(done int64, note string)
	// Left says how long the work is going to take, better than the part that is done can tell.
	Left(d time.Duration)
	// Stop takes the line away. It may be called twice.
	Stop()
}

// Silent is a Sink that tells nobody.
type Silent struct{}

func (Silent) Notef(string, ...any)          {}
func (Silent) Warnf(string, ...any)          {}
func (Silent) Start(string, int64) Bar       { return silentBar{} }
func (Silent) Event(any)                     {}
func (Silent) OnStatus(func() string) func() { return func() {} }

type silentBar struct{}

func (silentBar) Set(int64, string)  {}
func (silentBar) Left(time.Duration) {}
func (silentBar) Stop()              {}
