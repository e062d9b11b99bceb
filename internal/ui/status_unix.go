//go:build unix && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package ui

import (
	"os"
	"syscall"
)

var statusSignals = []os.Signal{syscall.SIGUSR1}
