package ui

import (
	"encoding/json"
	"fmt"
	"time"
)

// message is a note or a warning as an event.
type message struct {
	Event string `json:"event"`
	Text  string `json:"text"`
}

// Event prints v, an object with a field "event", as one JSON line on standard error, if the run's progress is for programs.
func (u *UI) Event(v any) {
	if !u.events {
		return
	}
	line, err := json.Marshal(v)
	if err != nil {
		line = fmt.Appendf(nil, `{"event":"warning","text":%q}`, err)
	}
	u.errLine("", string(line))
}

// jsonEvery is how often progress is reported to programs.
const jsonEvery = time.Second

// progressEvent is how far a piece of work has come.
type progressEvent struct {
	Event string   `json:"event"`
	Job   string   `json:"job"`
	Part  float64  `json:"part"`
	Left  *float64 `json:"left_s,omitempty"`
	Note  string   `json:"note,omitempty"`
}

// jsonProgress prints an event every jsonEvery.
type jsonProgress struct {
	u     *UI
	label string
	total int64
	next  time.Time
	left  *float64
	now   func() time.Time
}

func (p *jsonProgress) Set(done int64, note string) {
	if now := p.now(); !now.Before(p.next) {
		p.next = now.Add(jsonEvery)
		p.u.Event(progressEvent{"progress", p.label, float64(done) / float64(p.total), p.left, note})
	}
}

func (p *jsonProgress) Left(d time.Duration) {
	s := d.Round(100 * time.Millisecond).Seconds()
	p.left = &s
}

func (p *jsonProgress) Stop() {}
