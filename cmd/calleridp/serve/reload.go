// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"calleridp/cmd/calleridp/config"
)

// reloader reads the configuration again. It takes over all that a running server can
// change, or nothing.
type reloader struct {
	read        func() (config.Settings, error)
	current     config.Settings // that the server runs with
	program     *Program
	certificate *Certificate // nil: there are no certificate files
	level       *Level
	log         *slog.Logger
}

// reload reads the configuration again, uses it, and says in the log what has changed, and
// what needs a restart. After an error nothing has changed.
func (r *reloader) reload(ctx context.Context) {
	next, err := r.read()
	if err != nil {
		r.refused(err)
		return
	}
	used, restart := r.current.Reload(next)
	changed := r.current.ClientChanges(used)
	usePages, parts, err := r.program.Prepare(used)
	if err != nil {
		r.refused(err)
		return
	}
	changed = append(changed, parts...)
	useCertificate := func() {}
	if r.certificate != nil {
		var renewed bool
		if useCertificate, renewed, err = r.certificate.Prepare(used.TLS.CertFile, used.TLS.KeyFile); err != nil {
			r.refused(fmt.Errorf("tls: %w", err))
			return
		}
		if renewed {
			changed = append(changed, "tls: the certificate")
		}
	}
	if used.LogLevel != r.current.LogLevel {
		changed = append(changed, "log.level: "+strings.ToLower(used.LogLevel.String()))
	}
	// Nothing below can fail.
	useCertificate()
	r.level.Set(used.LogLevel)
	usePages(ctx)
	r.current = used
	for _, warning := range used.Warnings() {
		r.log.Warn("configuration: " + warning)
	}
	if len(restart) > 0 {
		r.log.Warn("reload: the rest of the configuration is in use; these keys need a restart", "keys", restart)
	}
	if len(changed) == 0 {
		r.log.Info("reload: done; nothing has changed")
		return
	}
	r.log.Info("reload: done", "changed", changed)
}

func (r *reloader) refused(err error) {
	r.log.Error("reload: refused; nothing has changed, and the server runs with the configuration before", "error", err)
}
