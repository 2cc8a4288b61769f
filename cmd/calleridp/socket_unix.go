//go:build unix

package main

import (
	"net"
	"syscall"
)

// listenPrivately makes a Unix socket that only its owner can use, from its
// first moment on. The mask is the whole process's; nothing else makes files at
// this point of the start.
func listenPrivately(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
