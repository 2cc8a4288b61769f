// SPDX-License-Identifier: Apache-2.0

//go:build unix && !aix && !solaris && !illumos

package durable

import (
	"os"
	"syscall"
)

// errHeld is the error of flock for a lock that another open file has.
const errHeld = syscall.EWOULDBLOCK

func flock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
