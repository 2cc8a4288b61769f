package config

import (
	"fmt"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/registration"
)

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
