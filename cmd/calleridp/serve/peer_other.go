//go:build !linux

package serve

import "net"

// peerOf says who has connected to a Unix socket: here, only that somebody may.
func peerOf(net.Conn) string { return "admin socket" }
