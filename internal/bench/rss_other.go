//go:build !darwin

package main

import "syscall"

// maxRSS is the peak memory in MiB; Linux counts it in KiB.
func maxRSS(ru *syscall.Rusage) float64 { return float64(ru.Maxrss) / (1 << 10) }
