//go:build unix

package trail

import (
	"os"
	"syscall"
)

// lock locks a file until it is closed, or returns an error at once.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
