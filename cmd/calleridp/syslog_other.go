// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import (
	"errors"
	"io"
)

// openSyslog returns an error: this system has none.
func openSyslog(string) (io.Writer, error) {
	return nil, errors.New("this system has no syslog")
}
