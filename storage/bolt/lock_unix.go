//go:build unix && !aix && !solaris && !illumos

package bolt

import (
	"errors"
	"os"
	"syscall"
	"time"

	berrors "go.etcd.io/bbolt/errors"
)

// lockFile takes the lock that bbolt takes, so that no other process writes while
// the file is verified. bbolt gets it again: the lock belongs to the open file.
func lockFile(f *os.File, timeout time.Duration) error {
	for until := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(until):
			return berrors.ErrTimeout
		}
	}
}
