//go:build unix

package netlimit

import "syscall"

// Descriptors returns how many files and connections this process may have open, or 0 where that is not known. Go has
// raised the soft limit (RLIMIT_NOFILE) to the hard limit when the process started.
func Descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), 1<<30))
}
