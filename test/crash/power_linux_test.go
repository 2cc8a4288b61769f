// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// disk is an ext4 file system in a file, whose power can be cut.
type disk struct {
	image, mount string
}

// newDisk makes a disk. The error says why this machine cannot: it takes root, a
// free loop device and mkfs.ext4.
func newDisk(t *testing.T) (*disk, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("not root")
	}
	dir := t.TempDir()
	d := &disk{image: filepath.Join(dir, "image"), mount: filepath.Join(dir, "disk")}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(d.image, 256<<20); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %v %s", err, out)
	}
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		return nil, err
	}
	if err := d.on(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { exec.Command("umount", d.mount).Run() })
	// Some machines mount it and refuse the cut.
	if err := d.cut(); err != nil {
		return nil, err
	}
	return d, d.again()
}

func (d *disk) on() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.mount).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %v %s", err, out)
	}
	return nil
}

// cut is the power cut: from now on no write reaches the disk, and what was written
// without fsync is gone, the journal's unfinished transactions included.
func (d *disk) cut() error {
	const (
		shutdown   = 0x8004587D // EXT4_IOC_SHUTDOWN
		noLogFlush = uint32(2)  // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	f, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer f.Close()
	how := noLogFlush
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); e != 0 {
		return fmt.Errorf("EXT4_IOC_SHUTDOWN: %w", e)
	}
	return nil
}

// again mounts the disk once more, as after the power came back. No process may have
// a file on it open.
func (d *disk) again() error {
	if out, err := exec.Command("umount", d.mount).CombinedOutput(); err != nil {
		return fmt.Errorf("umount: %v %s", err, out)
	}
	return d.on()
}
