// SPDX-License-Identifier: Apache-2.0

//go:build !unix || aix || solaris || illumos

package durable

import (
	"errors"
	"os"
)

var errHeld = errors.New("durable: another open file has the lock")

// flock locks nothing: these systems lock for a process and not for an open file, and a
// process that locks a file twice would wait for itself. bbolt's own lock of the store keeps
// a second server away.
func flock(*os.File) error { return nil }
