// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"fmt"
	"net/url"
	"strings"

	"calleridp/truecaller"
)

// Bounds of what a stranger may have stored.
const (
	maxBody  = 64 << 10 // bytes
	maxURIs  = 20
	maxTexts = 10
	maxText  = 200 // bytes
)

// checkRedirects refuses what a client of this type must not register (OpenID Connect
// Dynamic Client Registration §2, application_type). front is set if it may get tokens from
// the authorization endpoint. The registry refuses what no client may register.
func checkRedirects(member, applicationType string, front bool, uris []string) error {
	if len(uris) > maxURIs {
		return refuse(member, "at most %d are accepted (got %d)", maxURIs, len(uris))
	}
	for i, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil {
			return refuse(fmt.Sprintf("%s[%d]", member, i), "is not a URI")
		}
		loopback := u.Scheme == "http" && truecaller.IsLoopback(u.Hostname())
		private := strings.Contains(u.Scheme, ".")
		switch {
		case applicationType == typeNative && !loopback && !private:
			return refuse(fmt.Sprintf("%s[%d]", member, i), "%q is not for a native application: "+
				"register http on a loopback address or a scheme such as com.example.app, or application_type web for https", uri)
		case applicationType == typeWeb && u.Scheme != "https":
			return refuse(fmt.Sprintf("%s[%d]", member, i), "%q is not https; other schemes need application_type native", uri)
		case applicationType == typeWeb && front && truecaller.IsLoopback(u.Hostname()):
			return refuse(fmt.Sprintf("%s[%d]", member, i), "%q is on this machine; tokens of the authorization endpoint do not go there", uri)
		}
	}
	return nil
}

// checkLinks refuses what pages must not link to.
func checkLinks(links ...[2]string) error {
	for _, link := range links {
		if link[1] == "" {
			continue
		}
		if u, err := url.Parse(link[1]); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(link[1]) > 2048 {
			return refuse(link[0], "is not an https URL of at most 2048 bytes")
		}
	}
	return nil
}

// checkTexts refuses texts that are too many or too long.
func checkTexts(member string, texts []string) error {
	if len(texts) > maxTexts {
		return refuse(member, "at most %d are accepted (got %d)", maxTexts, len(texts))
	}
	for _, text := range texts {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return refuse(member, "must be at most %d bytes, without control characters", maxText)
		}
	}
	return nil
}
