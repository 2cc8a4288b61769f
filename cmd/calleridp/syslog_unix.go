// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"io"
	"log/syslog"
)

// openSyslog connects to the system's log. It connects again when that has been restarted.
func openSyslog(socket string) (io.Writer, error) {
	const priority = syslog.LOG_AUTHPRIV | syslog.LOG_INFO
	out, err := syslog.Dial("unixgram", socket, priority, "calleridp-audit")
	if err != nil {
		out, err = syslog.Dial("unix", socket, priority, "calleridp-audit")
	}
	return out, err
}
