// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"
	"net"
	"syscall"
)

// peerOf says who has connected to a Unix socket, as the kernel knows since then
// (SO_PEERCRED).
func peerOf(c net.Conn) string {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return "admin socket"
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return "admin socket"
	}
	var peer *syscall.Ucred
	failed := raw.Control(func(fd uintptr) {
		peer, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if failed != nil || err != nil {
		return "admin socket"
	}
	return fmt.Sprintf("uid %d", peer.Uid)
}
