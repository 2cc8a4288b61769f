//go:build !linux

package bolt

// networkFS cannot tell on this system.
func networkFS(string) string { return "" }
