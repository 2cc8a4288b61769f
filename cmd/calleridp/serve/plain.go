// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// maxPlain is how many connections the listener for plain HTTP has at once. Each is for one
// request, and short.
const maxPlain = 512

// plainHTTP returns the server of tls.http_listen: challenges answers ACME's, nil for none,
// and browsers that open the issuer's host are led to https.
func plainHTTP(issuer string, challenges func(http.Handler) http.Handler) *http.Server {
	handler := redirectToHTTPS(issuer)
	if challenges != nil {
		handler = challenges(handler)
	}
	server := &http.Server{
		Handler:           http.MaxBytesHandler(handler, 0),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// limited bounds the connections of the listener for plain HTTP.
func limited(l net.Listener) net.Listener { return netutil.LimitListener(l, maxPlain) }

// redirectToHTTPS leads GET requests for the issuer's host to the same page with https. Every
// other request is refused: another host would make an open redirector, and what a form or a
// client has sent in the clear must fail and not be sent again.
func redirectToHTTPS(issuer string) http.Handler {
	host := ""
	if u, err := url.Parse(issuer); err == nil {
		host = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Host
		if name, _, err := net.SplitHostPort(asked); err == nil {
			asked = name
		}
		switch {
		case host == "" || !strings.EqualFold(strings.Trim(asked, "[]"), host):
			http.Error(w, "This server does not serve this host.", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "Use https.", http.StatusForbidden)
		default:
			to := issuer + "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", to)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
}
