// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package serve

import "net"

// peerOf returns the name of a Unix socket's peer: on this system, the same for all.
func peerOf(net.Conn) string { return "admin socket" }
