package llamabind

/*
#include "shim.h"

extern void goLog(int level, char * text);

static void log_to_go(int level, const char * text) { goLog(level, (char *) text); }
static void init_with_log(void) { bp_init(log_to_go); }
*/
import "C"

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
)

var (
	logger   atomic.Pointer[slog.Logger]
	initOnce sync.Once

	logMu      sync.Mutex
	logPartial strings.Builder
	logLevel   slog.Level
)

// SetLogger routes llama.cpp's log into l; nil discards it, which is the default.
func SetLogger(l *slog.Logger) { logger.Store(l) }

// start initialises llama.cpp's backends, once.
func start() { initOnce.Do(func() { C.init_with_log() }) }

var levels = map[C.int]slog.Level{1: slog.LevelDebug, 2: slog.LevelInfo, 3: slog.LevelWarn, 4: slog.LevelError}

// goLog gathers the pieces that llama.cpp logs into whole lines. Level 5 continues the line before.
//
//export goLog
func goLog(level C.int, text *C.char) {
	l := logger.Load()
	if l == nil {
		return
	}
	logMu.Lock()
	defer logMu.Unlock()
	if lv, ok := levels[level]; ok {
		logLevel = lv
	}
	logPartial.WriteString(C.GoString(text))
	for {
		line, rest, whole := strings.Cut(logPartial.String(), "\n")
		if !whole {
			return
		}
		logPartial.Reset()
		logPartial.WriteString(rest)
		if line = strings.TrimSpace(line); line != "" {
			l.Log(context.Background(), logLevel, line)
		}
	}
}

// oneLine folds a text of several lines into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
