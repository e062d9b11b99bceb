//go:build !unix

package ui

import "os"

var statusSignals []os.Signal
