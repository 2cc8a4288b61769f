// SPDX-License-Identifier: Apache-2.0

//go:build unix

package doctor

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the user that owns a file.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	if s, is := info.Sys().(*syscall.Stat_t); is {
		return int(s.Uid), true
	}
	return 0, false
}
