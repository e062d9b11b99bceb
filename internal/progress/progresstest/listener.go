// Package progresstest has a progress.Sink for tests.
package progresstest

import (
	"time"

	"github.com/ggufprune/ggufprune/internal/progress"
)

// Listener keeps what a job tells. Its zero value is ready.
type Listener struct {
	Phases []string           // labels of pieces of work, in the order in which they began
	Parts  map[string][]int64 // what each bar was set to
	Notes  []string           // formats of notes and warnings
	Events []any
	Status func() string // the last one that was given

	OnStart func(label string) // may be nil: is called when a piece of work begins
}

type bar struct {
	l     *Listener
	label string
}

func (b bar) Set(done int64, _ string) { b.l.Parts[b.label] = append(b.l.Parts[b.label], done) }
func (bar) Left(time.Duration)         {}
func (bar) Stop()                      {}

// Notef implements progress.Sink.
func (l *Listener) Notef(format string, _ ...any) { l.Notes = append(l.Notes, format) }

// Warnf implements progress.Sink.
func (l *Listener) Warnf(format string, _ ...any) { l.Notes = append(l.Notes, format) }

// Event implements progress.Sink.
func (l *Listener) Event(v any) { l.Events = append(l.Events, v) }

// OnStatus implements progress.Sink.
func (l *Listener) OnStatus(f func() string) func() {
	l.Status = f
	return func() {}
}

// Start implements progress.Sink.
func (l *Listener) Start(label string, _ int64) progress.Bar {
	if l.OnStart != nil {
		l.OnStart(label)
	}
	if l.Parts == nil {
		l.Parts = map[string][]int64{}
	}
	l.Phases = append(l.Phases, label)
	return bar{l, label}
}
