// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"os/signal"
	"syscall"
)

// limitFileSize makes this process fail to write beyond size in any file, as if
// the disk were full.
func limitFileSize(size int64) (lift func(), err error) {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	low := syscall.Rlimit{Cur: uint64(size), Max: old.Max}
	return func() { syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low)
}
