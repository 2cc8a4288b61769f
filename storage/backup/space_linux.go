// SPDX-License-Identifier: Apache-2.0

package backup

import "syscall"

// freeBytes returns how much a user without privileges may still write in dir.
func freeBytes(dir string) (free int64, known bool) {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return 0, false
	}
	return int64(fs.Bavail) * fs.Bsize, true
}
