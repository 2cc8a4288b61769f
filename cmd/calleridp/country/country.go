// SPDX-License-Identifier: Apache-2.0

// Package country looks up the country of a network in a local file in MaxMind's
// format. No request leaves the machine.
package country

import (
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Database finds countries. If nil, it knows none.
type Database struct{ reader *maxminddb.Reader }

// Open reads a database file (.mmdb).
func Open(file string) (*Database, error) {
	reader, err := maxminddb.Open(file)
	if err != nil {
		return nil, err
	}
	return &Database{reader}, nil
}

// Of returns the country of a network as limit.NetworkOf writes it, ISO 3166-1
// alpha-2, or "" if it is unknown. Without a better one, the country in which the
// network is registered counts.
func (d *Database) Of(network string) string {
	if d == nil {
		return ""
	}
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	found := d.reader.Lookup(prefix.Addr())
	for _, key := range []string{"country", "registered_country"} {
		var code string
		if err := found.DecodePath(&code, key, "iso_code"); err == nil && isCode(code) {
			return code
		}
	}
	return ""
}

func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
