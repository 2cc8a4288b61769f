// SPDX-License-Identifier: Apache-2.0

//go:build unix

package serve

import (
	"net"
	"syscall"
)

// listenPrivately opens a Unix socket that only its owner can use, from the
// moment that it exists. The umask is that of the whole process; at this point of
// the start no other goroutine creates files.
func listenPrivately(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
