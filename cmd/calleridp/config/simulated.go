// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/url"
	"slices"
	"strings"

	"calleridp/truecaller"
)

// truecallerDomain is where Truecaller's interfaces are.
const truecallerDomain = "truecaller.com"

// address is a URL of the configuration, with the key that sets it.
type address struct{ key, url string }

// foreign returns the addresses of an app that are not Truecaller's.
func (c Truecaller) foreign() []address {
	var all []address
	if slices.Contains(c.Methods, MethodPush) || slices.Contains(c.Methods, MethodOneTap) {
		all = append(all, address{"api_url", c.APIURL})
		for _, profile := range c.ProfileURLs {
			all = append(all, address{"profile_urls", profile})
		}
	}
	if slices.Contains(c.Methods, MethodNative) {
		all = append(all, address{"oauth_url", c.OAuthURL})
	}
	return slices.DeleteFunc(all, func(a address) bool {
		u, err := url.Parse(a.url)
		if err != nil {
			return false
		}
		host := strings.ToLower(u.Hostname())
		return host == truecallerDomain || strings.HasSuffix(host, "."+truecallerDomain)
	})
}

// Simulated reports whether an app speaks to this machine in Truecaller's place, where
// only `calleridp simulate` is. Pages say so then.
func (s Settings) Simulated() bool {
	return slices.ContainsFunc(s.keyedApps(), func(app keyedApp) bool {
		return slices.ContainsFunc(app.foreign(), func(a address) bool {
			u, err := url.Parse(a.url)
			return err == nil && truecaller.IsLoopback(u.Hostname())
		})
	})
}
