// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/registration"
)

// Registration configures clients that register themselves: OpenID Connect Dynamic Client
// Registration 1.0, RFC 7591, RFC 7592.
type Registration struct {
	// Mode says who may register clients: closed (default), nobody; token, who has an
	// initial access token, from `calleridp registration-token add`; open, anybody.
	Mode string `yaml:"mode"`
	// AllowedOrigins are the origins of pages that may call the registration endpoint (CORS).
	// If unset, none.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// Network is how often registrations and changes may be tried from one IPv4 address or
	// IPv6 /64; from a /56 four times, from a /48 sixteen times as often. Default 20/1h.
	Network Rate `yaml:"network"`
	// Deployment is how many clients may register. Default 100/1h.
	Deployment Rate `yaml:"deployment"`
	// Max is how many clients may be registered at once. Default 1000.
	Max Count `yaml:"max"`
	// UnusedFor is how long a client may stay that nobody has signed in to. Default 7d. When
	// there are max clients, the oldest such one gives its place to the next after an hour,
	// unless it was registered with an initial access token.
	UnusedFor Duration `yaml:"unused_for"`
	// ShowLogos shows the logos of clients that registered themselves on the pages, beside
	// name and host. Default false: nothing proves that a logo is theirs, so that one may
	// take the logo of a bank.
	ShowLogos bool `yaml:"show_logos"`
	// DangerouslyWithoutPKCE excuses confidential clients that registered themselves from PKCE,
	// as long as it is set, for test suites that do not know PKCE.
	DangerouslyWithoutPKCE bool `yaml:"dangerously_without_pkce"`
}

// RegistrationClosed is the value of registration.mode without registration. The other
// modes have the names of package registration.
const RegistrationClosed = "closed"

func (d *decoder) checkRegistration(c Registration) {
	switch c.Mode {
	case RegistrationClosed, string(registration.Token), string(registration.Open):
	default:
		d.refuse("registration.mode", "%q is unknown; use closed, token or open", c.Mode)
	}
	for i, origin := range c.AllowedOrigins {
		if reason := client.CheckOrigin(origin); reason != "" {
			d.refuse(fmt.Sprintf("registration.allowed_origins[%d]", i), "%q %s", origin, reason)
		}
	}
}

// Policy returns what the settings say.
func (c Registration) Policy() registration.Policy {
	p := registration.Policy{
		Mode:        registration.Mode(c.Mode),
		Origins:     c.AllowedOrigins,
		Network:     limit.Rate(c.Network),
		Deployment:  limit.Rate(c.Deployment),
		Most:        int(c.Max),
		UnusedFor:   time.Duration(c.UnusedFor),
		ShowLogos:   c.ShowLogos,
		WithoutPKCE: c.DangerouslyWithoutPKCE,
	}
	if c.Mode == RegistrationClosed {
		p.Mode = registration.Closed
	}
	return p
}
