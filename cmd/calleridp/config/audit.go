// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit/trail"
)

// Audit configures the record of who signed in where, and who changed what. No log level
// concerns it. See docs/operators/audit.md.
type Audit struct {
	// To are the places that get each line: file, a chain of files in dir that
	// `calleridp audit verify` checks and `calleridp audit show` reads; stdout; syslog, the
	// system's, as authpriv; log, the log's own lines, on standard error. Default [file].
	To []string `yaml:"to"`
	// Dir is the directory of the files, on a local disk and writable by the server alone.
	// Default audit in data_dir.
	Dir string `yaml:"dir"`
	// Server is the name of this server in the lines and in the names of the files. Each
	// server of a deployment has its own. If unset, it is that of the files in dir, and in an
	// empty directory the host name.
	Server string `yaml:"server"`
	// Keep is how old a file gets before the server removes it. Default 365d.
	Keep Duration `yaml:"keep"`
	// RotateMegabytes is the size after which the next file begins; one begins each day
	// (UTC), too. Default 64.
	RotateMegabytes Count `yaml:"rotate_megabytes"`
	// SyslogSocket is the Unix socket of syslog. Default /dev/log.
	SyslogSocket string `yaml:"syslog_socket"`
}

// The values of audit.to.
const (
	AuditFile   = "file"
	AuditStdout = "stdout"
	AuditSyslog = "syslog"
	AuditLog    = "log"
)

// Goes reports whether lines go to this place.
func (a Audit) Goes(place string) bool { return slices.Contains(a.To, place) }

// MaxBytes is RotateMegabytes in bytes.
func (a Audit) MaxBytes() int64 { return int64(a.RotateMegabytes) << 20 }

func (a *Audit) setDefaults(dataDir string) {
	if len(a.To) == 0 {
		a.To = []string{AuditFile}
	}
	orDefault(&a.Dir, filepath.Join(dataDir, "audit"))
	orDefault(&a.Keep, Duration(365*day))
	orDefault(&a.RotateMegabytes, 64)
	orDefault(&a.SyslogSocket, "/dev/log")
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// HostName returns the host's name as that of a server.
func HostName() string {
	host, err := os.Hostname()
	name := strings.Trim(notInNames.ReplaceAllString(host, "-"), "._-")
	if err != nil || trail.CheckName(name) != nil {
		return "server"
	}
	return name
}

// checkAuditWritable returns why the files cannot be written, "" if they can.
func (s Settings) checkAuditWritable() string {
	if !s.Audit.Goes(AuditFile) {
		return ""
	}
	return unwritable(s.Audit.Dir)
}

func (d *decoder) checkAudit(c Audit) {
	places := []string{AuditFile, AuditStdout, AuditSyslog, AuditLog}
	for _, place := range c.To {
		if !slices.Contains(places, place) {
			d.refuse("audit.to", "%q is unknown; use %s", place, strings.Join(places, ", "))
		}
	}
	if err := trail.CheckName(c.Server); c.Server != "" && err != nil {
		d.refuse("audit.server", "%v", err)
	}
	if least := Duration(time.Hour * 24); !d.failed("audit.keep") && c.Keep < least {
		d.refuse("audit.keep", "must be at least %s (got %s), because files are removed whole", least, c.Keep)
	}
	if !d.failed("audit.rotate_megabytes") && c.RotateMegabytes > 4096 {
		d.refuse("audit.rotate_megabytes", "must be at most 4096 (got %d)", c.RotateMegabytes)
	}
}
