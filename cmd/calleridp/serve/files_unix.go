// SPDX-License-Identifier: Apache-2.0

//go:build unix

package serve

import "syscall"

// openFiles returns how many files the process may have open, 0 if that is unknown. The
// Go runtime has raised the soft limit to the hard one.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
