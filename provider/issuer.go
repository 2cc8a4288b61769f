// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"net/url"
	"strings"

	"calleridp/truecaller"
)

// CheckIssuer returns why an issuer identifier is refused, nil if it is not (OpenID
// Connect Core §2, RFC 9207 §2). The error's text begins with the issuer.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL like https://id.example.com", issuer)
	case strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("%q ends in a slash; clients compare it byte by byte, so remove the trailing slash", issuer)
	case issuer != u.Scheme+"://"+u.Host:
		return fmt.Errorf("%q must be scheme, host and port only", issuer)
	case u.Scheme == "http" && !truecaller.IsLoopback(u.Hostname()):
		return fmt.Errorf("%q is plain http, which is accepted on loopback only", issuer)
	case issuer != strings.ToLower(issuer):
		return fmt.Errorf("%q has upper case letters; browsers and clients write it in lower case", issuer)
	}
	return nil
}
