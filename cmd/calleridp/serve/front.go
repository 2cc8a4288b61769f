// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"calleridp/cmd/calleridp/acme"
	"calleridp/cmd/calleridp/config"
)

// front is what stands between the internet and the program: the certificate, and the
// listener for plain HTTP.
type front struct {
	certificates Certificates   // nil: the program speaks plain HTTP
	files        *Certificate   // nil: the certificate is not from files
	acme         *acme.Manager  // nil: nor from an ACME server
	plain        *privateServer // nil: there is no listener for plain HTTP
}

// openFront loads the certificate and opens the listener for plain HTTP. public is open.
func openFront(ctx context.Context, s config.Settings, opened sockets, public net.Listener, log *slog.Logger) (*front, error) {
	f := &front{}
	var plain net.Listener
	if _, given := opened[socketHTTP]; s.TLS.HTTPListen != "" || given {
		l, err := opened.listen(socketHTTP, "tls.http_listen", s.TLS.HTTPListen)
		if err != nil {
			return nil, err
		}
		plain = l
	}
	var challenges func(http.Handler) http.Handler
	switch {
	case s.TLS.CertFile != "":
		var err error
		if f.files, err = LoadCertificate(s.TLS.CertFile, s.TLS.KeyFile); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		f.certificates = f.files
		go f.files.Watch(ctx, log)
	case s.TLS.ACME.On():
		f.acme = acme.New(acme.Config{
			Host:      s.Host(),
			Directory: s.TLS.ACME.Directory,
			Roots:     s.ACMERoots,
			Email:     s.TLS.ACME.Email,
			KeyID:     s.TLS.ACME.KeyID,
			MACKey:    string(s.ACMEMACKey),
			Dir:       s.ACMEDir(),
			TLSPort:   portOf(public),
			HTTPPort:  portOf(plain),
			Log:       log,
		})
		f.certificates = f.acme
		challenges = f.acme.Challenges
	}
	if plain != nil {
		f.plain = &privateServer{limited(plain), plainHTTP(s.Issuer, challenges)}
	}
	return f, nil
}

// portOf returns the port of a TCP listener, 0 for nil.
func portOf(l net.Listener) int {
	if l == nil {
		return 0
	}
	return l.Addr().(*net.TCPAddr).Port
}

// start obtains a certificate, if an ACME server gives it. The listeners are open.
func (f *front) start(ctx context.Context, log *slog.Logger) {
	if f.acme == nil {
		return
	}
	if err := f.acme.Start(ctx); err != nil {
		log.Error("no certificate could be loaded, so browsers cannot connect; fix the cause and restart the server", "error", err)
	}
}

func (f *front) close() {
	if f.acme != nil {
		f.acme.Stop()
	}
	if f.plain != nil {
		f.plain.listener.Close()
	}
}
