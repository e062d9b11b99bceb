//go:build !darwin

package machine

import "syscall"

// MaxRSS is the peak memory in MiB; Linux counts it in KiB.
func MaxRSS(ru *syscall.Rusage) float64 { return float64(ru.Maxrss) / (1 << 10) }
