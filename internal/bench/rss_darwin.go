package main

import "syscall"

// maxRSS is the peak memory in MiB; macOS counts it in bytes.
func maxRSS(ru *syscall.Rusage) float64 { return float64(ru.Maxrss) / (1 << 20) }
