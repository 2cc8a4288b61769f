// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"os"
	"syscall"
	"testing"
)

// /proc is a file system that cannot sync folders.
func TestSyncDirWithoutSupport(t *testing.T) {
	const dir = "/proc/self"
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := syscall.Fsync(int(d.Fd())); err == nil {
		t.Fatal("/proc syncs folders: the test needs another file system")
	}
	if err := SyncDir(dir); err != nil {
		t.Error(err)
	}
}
