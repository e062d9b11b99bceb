package reporttest

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// findChromium returns the browser's program. CI must have one; elsewhere the test is skipped without.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium; run: make chromium")
	}
	t.Skip("there is no Chromium, so nobody looks at the page; install one with: make chromium")
	return ""
}

// shared is the one browser of all tests; each page has a tab of its own.
var shared struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

// browser returns a headless Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := findChromium(t)
	shared.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))
		ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, _ = chromedp.NewContext(ctx)
		shared.ctx, shared.err = ctx, chromedp.Do(ctx)
		shared.stop = func() {
			chromedp.Cancel(ctx) //nolint:errcheck // the tests are over
			stop()
		}
	})
	if shared.err != nil {
		t.Fatalf("Chromium does not start: %v", shared.err)
	}
	return shared.ctx
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	os.Exit(code)
}

// visit is a tab in which a file was opened.
type visit struct {
	ctx context.Context

	mu       sync.Mutex
	requests []string // addresses that were asked for, besides the file
	problems []string // console messages and exceptions
}

// view is how a page is looked at.
type view struct {
	name          string
	width, height int64
	dark, noJS    bool
	print         bool
}

// open shows the file at path in a new tab.
func open(t *testing.T, parent context.Context, path string, v view) *visit {
	t.Helper()
	ctx, stop := chromedp.NewContext(parent)
	t.Cleanup(stop)
	address := (&url.URL{Scheme: "file", Path: path}).String()
	out := &visit{ctx: ctx}
	if err := chromedp.Listen(ctx, func(event any) { out.hear(event, address) }); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if v.print {
		media.Media = "print"
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.noJS}); err != nil {
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(limited, chromedp.EmulateViewport(v.width, v.height), chromedp.Navigate(address)); err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	return out
}

// hear keeps what should not happen.
func (v *visit) hear(event any, address string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; u != address && !strings.HasPrefix(u, "data:") {
			v.requests = append(v.requests, u)
		}
	case *log.EventEntryAdded:
		v.problems = append(v.problems, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		v.problems = append(v.problems, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		v.problems = append(v.problems, "console."+string(e.Type))
	case *page.EventJavascriptDialogOpening:
		v.problems = append(v.problems, "dialog: "+e.Message)
	}
}

// quiet complains about requests and messages.
func (v *visit) quiet(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		t.Errorf("the page asks for %s", r)
	}
	for _, p := range v.problems {
		t.Errorf("the console says: %s", p)
	}
}

// ask evaluates an expression in the page, whatever the page's own policy on scripts is.
func ask[T any](t *testing.T, v *visit, expression string) T {
	t.Helper()
	out, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return out
}

// keep keeps a picture where REPORT_SHOTS says so.
func keep(t *testing.T, v *visit, name string) {
	t.Helper()
	if os.Getenv("REPORT_SHOTS") != "" {
		shoot(t, v, name)
	}
}

// shoot takes a picture of the whole page, and keeps it where REPORT_SHOTS says so.
func shoot(t *testing.T, v *visit, name string) []byte {
	t.Helper()
	png, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return png
}
