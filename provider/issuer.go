package provider

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckIssuer returns what is wrong with an issuer identifier, nil for nothing
// (OpenID Connect Core §2, RFC 9207 §2).
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("provider: issuer %q is not an address such as https://id.example.com", issuer)
	case strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("provider: issuer %q ends in a slash; clients compare it byte by byte, so leave the slash out for ever", issuer)
	case issuer != u.Scheme+"://"+u.Host:
		return fmt.Errorf("provider: issuer %q must be scheme, host and port only", issuer)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return fmt.Errorf("provider: issuer %q is plain http, which is accepted on loopback only", issuer)
	case issuer != strings.ToLower(issuer):
		return fmt.Errorf("provider: issuer %q has upper case letters; browsers and clients write it in lower case", issuer)
	}
	return nil
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
