package config

import (
	"time"

	"calleridp/provider/deviceflow"
	"calleridp/provider/limit"
)

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
