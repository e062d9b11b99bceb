// Package ui is the one place that prints: results to standard output, everything else to standard error.
//
// Tables are plain aligned text. Colour is used on a terminal only, never as the only signal, and not at all when NO_COLOR
// is set. Progress is one live line on a terminal and a plain line now and then otherwise (see [UI.Start]).
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Level says how much goes to standard error.
type Level int

// The levels: Quiet prints only errors and warnings, Verbose also prints the engine's log.
const (
	Quiet Level = iota - 1
	Normal
	Verbose
)

// UI prints for one run of the program. Its methods may be called from several goroutines.
type UI struct {
	out, err  io.Writer
	level     Level
	json      bool // standard output belongs to the one JSON object
	outColour bool
	errColour bool
	live      bool // standard error is a terminal that can redraw a line
	events    bool // standard error gets JSON lines instead of text

	mu     sync.Mutex    // of what follows, and of both writers
	outErr error         // the first that writing to standard output gave: see Err
	bar    *liveBar      // the live line that is up, if any
	status func() string // see OnStatus
}

// Options choose what New returns.
type Options struct {
	Out, Err io.Writer
	Level    Level
	JSON     bool                // print no text to Out
	Events   bool                // print JSON lines to Err instead of text: see UI.Event
	Plain    bool                // no live line, whatever Err is
	Getenv   func(string) string // os.Getenv when nil
}

// New returns a UI. A writer counts as a terminal when it is an *os.File that the system says is one.
func New(o Options) *UI {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	colour := getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return &UI{
		out: o.Out, err: o.Err, level: o.Level, json: o.JSON,
		outColour: colour && isTerminal(o.Out),
		errColour: colour && isTerminal(o.Err),
		live:      isTerminal(o.Err) && getenv("TERM") != "dumb" && !o.Plain && !o.Events,
		events:    o.Events,
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Resultf prints a line of the result to standard output; nothing with JSON.
func (u *UI) Resultf(format string, args ...any) {
	if !u.json {
		u.println(Plain(fmt.Sprintf(format, args...)))
	}
}

func (u *UI) println(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, err := fmt.Fprintln(u.out, text); err != nil && u.outErr == nil {
		u.outErr = err
	}
}

// Err returns the first error that printing a result gave: a full disk, say.
func (u *UI) Err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.outErr
}

// JSON prints v to standard output as the run's one JSON object; nothing without Options.JSON.
func (u *UI) JSON(v any) error {
	if !u.json {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	e := json.NewEncoder(u.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Notef tells the user what is going on: one line on standard error, unless quiet.
func (u *UI) Notef(format string, args ...any) {
	switch {
	case u.level < Normal:
	case u.events:
		u.Event(message{"note", fmt.Sprintf(format, args...)})
	default:
		u.errLine("", fmt.Sprintf(format, args...))
	}
}

// Warnf prints a warning on standard error, quiet or not.
func (u *UI) Warnf(format string, args ...any) {
	if u.events {
		u.Event(message{"warning", fmt.Sprintf(format, args...)})
		return
	}
	u.errLine(u.paint("33", "warning: "), fmt.Sprintf(format, args...))
}

// errLine writes one line to standard error, above the live line if one is up.
func (u *UI) errLine(prefix, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var w io.Writer = u.err
	if u.bar != nil {
		w = u.bar.container
	}
	fmt.Fprintln(w, prefix+Plain(strings.Join(strings.Split(text, "\n"), " ")))
}

// paint wraps text for standard error in an ANSI attribute, where colour is on.
func (u *UI) paint(attribute, text string) string {
	if !u.errColour {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// Logger returns the logger for the engine's messages: they are shown with Verbose only, but for what a user must know.
func (u *UI) Logger() *slog.Logger {
	if u.level < Verbose {
		return slog.New(&heed{slog.DiscardHandler, u, new(sync.Once)})
	}
	return slog.New(&heed{slog.NewTextHandler(errWriter{u}, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}), u, new(sync.Once)})
}

// errWriter gives a log handler the way of errLine to standard error.
type errWriter struct{ u *UI }

func (w errWriter) Write(p []byte) (int, error) {
	text := strings.TrimRight(string(p), "\n")
	if w.u.events {
		w.u.Event(message{"log", text})
	} else {
		w.u.errLine("", text)
	}
	return len(p), nil
}
