package ui

import (
	"fmt"
	"os"
	"os/signal"
	"time"
)

// ListenStatus prints how far the program is whenever the user asks for it: with SIGINFO (Ctrl-T) where there is one, with SIGUSR1
// on all Unix systems. The returned function ends that.
func (u *UI) ListenStatus() (stop func()) {
	if len(statusSignals) == 0 {
		return func() {}
	}
	asked, done, begin := make(chan os.Signal, 1), make(chan struct{}), time.Now()
	signal.Notify(asked, statusSignals...)
	go func() {
		for {
			select {
			case <-asked:
				u.printStatus(time.Since(begin))
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(asked)
		close(done)
	}
}

// OnStatus has f tell the status until the returned function is called.
func (u *UI) OnStatus(f func() string) (stop func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := u.status
	u.status = f
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.status = before
	}
}

func (u *UI) printStatus(running time.Duration) {
	u.mu.Lock()
	f := u.status
	u.mu.Unlock()
	text := fmt.Sprintf("running for %v", running.Round(time.Second))
	if f != nil {
		text += ": " + f()
	}
	if u.events {
		u.Event(message{"status", text})
		return
	}
	u.errLine("", text)
}
