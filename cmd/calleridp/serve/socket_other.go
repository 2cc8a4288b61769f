// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package serve

import "net"

// listenPrivately opens a Unix socket. Without file modes, the permissions of its
// directory decide who can use it.
func listenPrivately(path string) (net.Listener, error) { return net.Listen("unix", path) }
