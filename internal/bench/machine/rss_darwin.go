package machine

import "syscall"

// MaxRSS is the peak memory in MiB; macOS counts it in bytes.
func MaxRSS(ru *syscall.Rusage) float64 { return float64(ru.Maxrss) / (1 << 20) }
