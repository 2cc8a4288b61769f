//go:build !unix

package trail

import "os"

// lock does nothing: the store, which only one server can open, is the lock.
func lock(*os.File) error { return nil }
