// SPDX-License-Identifier: Apache-2.0

package config

import "net/url"

// Listener is where a server listens.
type Listener struct {
	Address string // host and port; the host may be missing
	TLS     bool
	Host    string // the issuer's, without a port; may be ""
}

// ReadListener returns where the server of a configuration listens. It checks nothing else
// of it, and reads no file that it names.
func ReadListener(file string) (Listener, error) {
	c, _, err := read(file)
	if err != nil {
		return Listener{}, err
	}
	c.setDefaults()
	l := Listener{Address: c.Listen, TLS: c.TLS.On()}
	if u, err := url.Parse(c.Issuer); err == nil {
		l.Host = u.Hostname()
	}
	return l, nil
}
