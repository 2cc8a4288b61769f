// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"calleridp/provider/deviceflow"
	"calleridp/provider/limit"
)

// DeviceFlow configures sign-in on devices without a browser, like televisions (RFC 8628):
// the device shows a code, and its user enters it in a browser, at ISSUER/device. Each
// client that may use it has device_flow. See the warning in docs/operators/clients.md.
type DeviceFlow struct {
	// Enabled turns the flow on. Default false.
	Enabled bool `yaml:"enabled"`
	// Lifetime is how long a device waits for its user, from 1m to 30m. Default 10m.
	Lifetime Duration `yaml:"lifetime"`
	// Interval is how long a device waits between two requests, from 1s to 1m. Default 5s.
	Interval Duration `yaml:"interval"`
	// Network is how many sign-ins devices may begin from one IPv4 address or IPv6 /64; from
	// a /56 four times, from a /48 sixteen times as many. Default 60/1h.
	Network Rate `yaml:"network"`
	// Client is how many the devices of one client may begin. Default 3000/1h.
	Client Rate `yaml:"client"`
	// Deployment is how many all devices may begin. Codes are the easier to guess, the more
	// there are. Default 10000/1h.
	Deployment Rate `yaml:"deployment"`
	// UserCodes is how many codes may be entered from one IPv4 address or IPv6 /64, with the
	// wider networks as in network. Default 20/1h.
	UserCodes Rate `yaml:"user_codes"`
}

// setDefaults sets what is unset.
func (c *DeviceFlow) setDefaults() {
	orDefault(&c.Lifetime, Duration(10*time.Minute))
	orDefault(&c.Interval, Duration(5*time.Second))
	orDefault(&c.Network, Rate{Burst: 60, Period: time.Hour})
	orDefault(&c.Client, Rate{Burst: 3000, Period: time.Hour})
	orDefault(&c.Deployment, Rate{Burst: 10000, Period: time.Hour})
	orDefault(&c.UserCodes, Rate{Burst: 20, Period: time.Hour})
}

// Policy returns what the settings say.
func (c DeviceFlow) Policy() deviceflow.Policy {
	return deviceflow.Policy{
		Enabled:    c.Enabled,
		Lifetime:   time.Duration(c.Lifetime),
		Interval:   time.Duration(c.Interval),
		Network:    limit.Rate(c.Network),
		Client:     limit.Rate(c.Client),
		Deployment: limit.Rate(c.Deployment),
		UserCodes:  limit.Rate(c.UserCodes),
	}
}
