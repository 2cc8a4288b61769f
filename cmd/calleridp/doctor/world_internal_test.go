// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/x509"
	"net/http/httptest"
	"net/netip"

	"calleridp/provider/fetch"
)

// trusting returns what fetches from a server of a test, if it may reach these networks.
func trusting(s *httptest.Server, networks ...netip.Prefix) *fetch.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return fetch.New(fetch.Options{Networks: networks, Roots: roots})
}
