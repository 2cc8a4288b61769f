package main

import (
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// countryDatabase knows in which country a network is: a local file in MaxMind's
// format. Nothing is asked of anybody. nil is a database that knows nothing.
type countryDatabase struct{ db *maxminddb.Reader }

func openCountryDatabase(file string) (*countryDatabase, error) {
	db, err := maxminddb.Open(file)
	if err != nil {
		return nil, err
	}
	return &countryDatabase{db}, nil
}

// of is the country of a network that limit.NetworkOf has written, ISO 3166-1
// alpha-2; "" when it is not known. The country in which the network is
// registered counts where there is no better one.
func (c *countryDatabase) of(network string) string {
	if c == nil {
		return ""
	}
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	found := c.db.Lookup(prefix.Addr())
	for _, key := range []string{"country", "registered_country"} {
		var code string
		if err := found.DecodePath(&code, key, "iso_code"); err == nil && isCountry(code) {
			return code
		}
	}
	return ""
}

func isCountry(code string) bool {
	return len(code) == 2 && 'A' <= code[0] && code[0] <= 'Z' && 'A' <= code[1] && code[1] <= 'Z'
}
