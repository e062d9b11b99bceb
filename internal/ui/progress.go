package ui

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ggufprune/ggufprune/internal/progress"
)

// plainEvery is how often progress is reported when standard error is not a terminal.
const plainEvery = 10 * time.Second

// Start implements progress.Sink. It begins to report progress under a label, to one goroutine. One piece of work at a time: a live line that is still up is replaced.
func (u *UI) Start(label string, total int64) progress.Bar {
	switch {
	case u.level < Normal:
		return nopProgress{}
	case u.events:
		return &jsonProgress{u: u, label: label, total: max(total, 1), now: time.Now}
	case u.live:
		return u.startLive(label, total)
	default:
		return &plainProgress{u: u, label: label, total: total, next: time.Now().Add(plainEvery), now: time.Now}
	}
}

type nopProgress struct{}

func (nopProgress) Set(int64, string)  {}
func (nopProgress) Left(time.Duration) {}
func (nopProgress) Stop()              {}

// plainProgress prints a line every plainEvery, so that a log file stays short.
type plainProgress struct {
	u     *UI
	label string
	total int64
	next  time.Time
	left  string
	now   func() time.Time
}

func (p *plainProgress) Set(done int64, note string) {
	if now := p.now(); !now.Before(p.next) {
		p.next = now.Add(plainEvery)
		p.u.Notef("%s: %s%s%s", p.label, percent(done, p.total), prefixed(" ", note), prefixed(", ", p.left))
	}
}

func (p *plainProgress) Left(d time.Duration) { p.left = leftText(d) }

func (p *plainProgress) Stop() {}

// leftText is a remaining time for people: whole seconds below an hour, whole minutes above.
func leftText(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	text := d.Round(unit).String()
	if d >= time.Hour {
		text = strings.TrimSuffix(text, "0s")
	}
	return text + " left"
}

func percent(done, total int64) string {
	if total <= 0 {
		return fmt.Sprint(done)
	}
	return fmt.Sprintf("%d%%", 100*min(done, total)/total)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// liveBar is the redrawn line on a terminal: label, bar, percentage, time left and note.
type liveBar struct {
	u         *UI
	container *mpb.Progress
	bar       *mpb.Bar
	begin     time.Time
	once      sync.Once

	mu   sync.Mutex
	note string
	left string // "" leaves the estimate to the bar
}

func (u *UI) startLive(label string, total int64, extra ...mpb.ContainerOption) *liveBar {
	u.stopLive()
	options := append([]mpb.ContainerOption{mpb.WithOutput(u.err), mpb.WithAutoRefresh()}, extra...)
	b := &liveBar{u: u, container: mpb.New(options...), begin: time.Now()}
	b.bar = b.container.New(max(total, 1), mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Name(label+" ")),
		mpb.AppendDecorators(
			decor.Percentage(decor.WC{W: 5}),
			decor.Name("  "),
			decor.Any(b.timeLeft),
			decor.Any(func(decor.Statistics) string { return prefixed("  ", b.currentNote()) }),
		))
	u.mu.Lock()
	u.bar = b
	u.mu.Unlock()
	return b
}

// stopLive removes the live line, if one is up.
func (u *UI) stopLive() {
	u.mu.Lock()
	b := u.bar
	u.mu.Unlock()
	if b != nil {
		b.Stop()
	}
}

func (b *liveBar) currentNote() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.note
}

// timeLeft is what [liveBar.Left] was told, else what the part that is done tells.
func (b *liveBar) timeLeft(s decor.Statistics) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != "" || s.Current <= 0 {
		return b.left
	}
	spent := time.Since(b.begin)
	return leftText(time.Duration(float64(spent) * float64(s.Total-s.Current) / float64(s.Current)))
}

// Left implements progress.Bar.
func (b *liveBar) Left(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = leftText(d)
}

func (b *liveBar) Set(done int64, note string) {
	b.mu.Lock()
	b.note = note
	b.mu.Unlock()
	b.bar.SetCurrent(done)
}

func (b *liveBar) Stop() {
	b.once.Do(func() {
		// Lines of errLine go past the container from here on: it takes none once it is done.
		b.u.mu.Lock()
		b.u.bar = nil
		b.u.mu.Unlock()
		b.bar.Abort(true)
		b.container.Wait()
	})
}
