// SPDX-License-Identifier: Apache-2.0

//go:build unix

package doctor

import "syscall"

// room returns the free and all bytes of the file system of a directory, and the free and
// all files that it can have; those are 0 where the system does not say.
func room(dir string) (free, all, freeFiles, allFiles uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, 0, 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), uint64(s.Ffree), uint64(s.Files), nil
}
