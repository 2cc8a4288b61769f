//go:build !unix

package main

import "net"

// listenPrivately makes a Unix socket. Where there are no file modes, the folder
// that it is in decides who can use it.
func listenPrivately(path string) (net.Listener, error) { return net.Listen("unix", path) }
