package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
)

func newTest(level Level, json bool) (*UI, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	return New(Options{Out: &out, Err: &err, Level: level, JSON: json, Getenv: func(string) string { return "" }}), &out, &err
}

func TestTable(t *testing.T) {
	t.Parallel()
	u, out, _ := newTest(Normal, false)
	u.Table("Steps", []Column{{"block", false}, {"PPL", true}}, [][]any{{"ffn:3", "5.92"}, {"attn:11", "15.81"}})
	want := `Steps
block      PPL
----------------
ffn:3     5.92
attn:11  15.81
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTableColourOnlyOnTerminal(t *testing.T) {
	t.Parallel()
	u, out, _ := newTest(Normal, false)
	u.Table("", []Column{{"a", false}}, [][]any{{"b"}})
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escape sequence in %q though the output is no terminal", out)
	}
	out.Reset()
	u.outColour = true
	u.Table("", []Column{{"a", false}}, [][]any{{"b"}})
	if !strings.Contains(out.String(), "\x1b[1m") {
		t.Errorf("no bold header in %q though colour is on", out)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A result that could not be printed is an error.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	u := New(Options{Out: full{}, Err: io.Discard})
	if u.Err() != nil {
		t.Error(u.Err())
	}
	u.Table("t", []Column{{"h", false}}, nil)
	if u.Err() == nil {
		t.Error("no error")
	}
}

// Names and descriptions come from other people's files.
func TestNothingSteersTheTerminal(t *testing.T) {
	t.Parallel()
	const evil, shown = "a\x00\x1b[31m\u202eb\u009b", `a\x00\x1b[31m\u202eb\u009b`
	u, out, err := newTest(Normal, false)
	u.Table(evil+"\nx", []Column{{"h", false}}, [][]any{{evil}})
	u.Resultf("%s", evil)
	u.Notef("%s", evil)
	u.Warnf("%s", evil)
	if got, want := out.String(), shown+" x\nh\n------------------\n"+shown+"\n"+shown+"\n"; strings.ReplaceAll(got, "-", "") != strings.ReplaceAll(want, "-", "") {
		t.Errorf("%q", got)
	}
	if got, want := err.String(), shown+"\nwarning: "+shown+"\n"; got != want {
		t.Errorf("%q", got)
	}
	if s := "tab\tünïcode 漢字\n"; Plain(s) != s {
		t.Errorf("%q", Plain(s))
	}
}

// Of the engine's log, what a user must know is a warning, once, whatever is shown of the rest.
func TestHeed(t *testing.T) {
	t.Parallel()
	for _, level := range []Level{Quiet, Normal, Verbose} {
		u, _, err := newTest(level, false)
		l := u.Logger()
		for range 2 {
			l.Warn("load: missing pre-tokenizer type, using: 'default'")
			l.Warn("load: something else")
		}
		got := err.String()
		if n := strings.Count(got, "warning: the file does not say how its tokenizer splits text"); n != 1 {
			t.Errorf("level %d: %d warnings: %s", level, n, got)
		}
		if shown := strings.Contains(got, "something else"); shown != (level == Verbose) {
			t.Errorf("level %d: %s", level, got)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level Level
		want  string
	}{
		{Quiet, "warning: w\n"},
		{Normal, "n\nwarning: w\n"},
		{Verbose, "n\nwarning: w\nlevel=INFO msg=loaded tensors=3\n"},
	} {
		u, out, err := newTest(c.level, false)
		u.Notef("%s", "n")
		u.Warnf("w")
		u.Logger().Info("loaded", "tensors", 3)
		u.Resultf("r")
		if err.String() != c.want {
			t.Errorf("level %d: stderr %q, want %q", c.level, err, c.want)
		}
		if out.String() != "r\n" {
			t.Errorf("level %d: stdout %q", c.level, out)
		}
	}
}

func TestJSONKeepsStdoutFree(t *testing.T) {
	t.Parallel()
	u, out, err := newTest(Normal, true)
	u.Resultf("r")
	u.Table("t", []Column{{"a", false}}, [][]any{{"b"}})
	u.Notef("n")
	if out.Len() != 0 || err.String() != "n\n" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	if err := u.JSON(map[string]string{"a": "<"}); err != nil || out.String() != "{\n  \"a\": \"<\"\n}\n" {
		t.Errorf("JSON %q, %v", out, err)
	}
	u, out, _ = newTest(Normal, false)
	if err := u.JSON(1); err != nil || out.Len() != 0 {
		t.Errorf("JSON %q, %v though it was not asked for", out, err)
	}
}

func TestWarningIsOneLine(t *testing.T) {
	t.Parallel()
	u, _, err := newTest(Normal, false)
	u.Warnf("a\nb")
	if err.String() != "warning: a b\n" {
		t.Errorf("got %q", err)
	}
}

func TestNoColor(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{{"NO_COLOR": "1"}, {"TERM": "dumb"}} {
		var b bytes.Buffer
		u := New(Options{Out: &b, Err: &b, Getenv: func(k string) string { return env[k] }})
		if u.outColour || u.errColour {
			t.Errorf("%v: colour is on", env)
		}
	}
}

func TestPlainProgress(t *testing.T) {
	t.Parallel()
	u, _, err := newTest(Normal, false)
	now := time.Unix(0, 0)
	p := &plainProgress{u: u, label: "search", total: 200, next: now.Add(plainEvery), now: func() time.Time { return now }}
	for i := range int64(201) {
		now = time.Unix(i/4, 0)
		p.Set(i, "step 1")
	}
	p.Stop()
	want := "search: 20% step 1\nsearch: 40% step 1\nsearch: 60% step 1\nsearch: 80% step 1\nsearch: 100% step 1\n"
	if err.String() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestQuietHasNoProgress(t *testing.T) {
	t.Parallel()
	u, _, err := newTest(Quiet, false)
	p := u.Start("search", 10)
	p.Set(5, "")
	p.Stop()
	if err.Len() != 0 {
		t.Errorf("got %q", err)
	}
}

// lockedBuffer lets the live line's goroutine write while the test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The live line shows label and note, a message printed meanwhile goes above it, and nothing hangs at the end.
func TestLiveProgress(t *testing.T) {
	t.Parallel()
	var err lockedBuffer
	u := New(Options{Out: &bytes.Buffer{}, Err: &err, Getenv: func(string) string { return "" }})
	b := u.startLive("search", 100, mpb.ForceTTY(), mpb.WithWidth(100), mpb.WithRefreshRate(5*time.Millisecond))
	for i := range int64(50) {
		b.Set(i, fmt.Sprintf("candidate %d", i))
		time.Sleep(time.Millisecond)
	}
	u.Notef("a message")
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(err.String(), "candidate 49") || !strings.Contains(err.String(), "a message") {
		if time.Now().After(deadline) {
			t.Fatalf("live line never shown: %.2000q", err.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Stop()
	b.Stop()
	u.Notef("afterwards")
	if got := err.String(); !strings.Contains(got, "search ") || !strings.HasSuffix(got, "afterwards\n") {
		t.Errorf("got %.2000q", got)
	}
}

// Results, notes and events may come from several goroutines: no line is torn, and the race detector has nothing to say.
func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	var out, err bytes.Buffer
	u := New(Options{Out: &out, Err: &err, Getenv: func(string) string { return "" }})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				u.Resultf("result %d of a goroutine", i)
				u.Notef("note %d of a goroutine", i)
				if u.Err() != nil {
					t.Error(u.Err())
				}
			}
		})
	}
	wg.Wait()
	for _, text := range []string{out.String(), err.String()} {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 400 || slices.ContainsFunc(lines, func(l string) bool { return !strings.HasSuffix(l, " of a goroutine") }) {
			t.Errorf("%d lines", len(lines))
		}
	}
}
