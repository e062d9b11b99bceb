//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package ui

import (
	"os"
	"syscall"
)

var statusSignals = []os.Signal{syscall.SIGINFO, syscall.SIGUSR1}
