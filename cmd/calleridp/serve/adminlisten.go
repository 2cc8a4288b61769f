// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"calleridp/cmd/calleridp/config"
)

// admin_listen has so many connections, and so many from one network: operators' browsers and
// programs, also if all come from behind one address. Without an API key or a session they
// get nothing, but each is an open file of the process and a handshake.
const (
	operatorConnections = 256
	operatorsPerNetwork = 64
)

// adminCertificate returns how admin_listen speaks TLS: with its own certificate, which is
// watched until ctx ends, or that of the public listener. It is nil if there is no
// admin_listen.
func adminCertificate(ctx context.Context, s config.Settings, public Certificates, log *slog.Logger) (*tls.Config, error) {
	if s.AdminListen == "" {
		return nil, nil
	}
	certificates := public
	if s.AdminTLS.CertFile != "" {
		own, err := LoadCertificate(s.AdminTLS.CertFile, s.AdminTLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("admin_tls: %w", err)
		}
		go own.Watch(ctx, log)
		certificates = own
	}
	if certificates == nil { // the configuration refuses it; an API key must not travel in the clear
		return nil, errors.New("admin_listen: there is no certificate; set admin_tls")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates.Get}, nil
}

// forOperators serves admin_listen: the console to browsers, and the API to all other
// requests. Each of these needs an API key, because nothing else gives it an access.
func (p *Program) forOperators() http.Handler {
	if p.Console == nil {
		return p.Admin
	}
	mux := http.NewServeMux()
	mux.Handle("/console", p.Console)
	mux.Handle("/console/", p.Console)
	mux.Handle("/", p.Admin)
	return mux
}
