package gguf

import (
	"os"

	"golang.org/x/sys/unix"
)

// willRead tells the kernel that f is read front to back, which lets it read further ahead.
func willRead(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_SEQUENTIAL) }
