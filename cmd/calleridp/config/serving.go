// SPDX-License-Identifier: Apache-2.0

package config

// Connections are the limits of connections to listen. At a limit, a new connection
// takes the place of the one that has waited longest for a request. If all are in use,
// requests on new ones get 503, except callbacks and health checks.
type Connections struct {
	Max        Count `yaml:"max"`         // all connections. Each waiting page has one, and each needs an open file of the process (LimitNOFILE of systemd). Default 20000.
	PerNetwork Count `yaml:"per_network"` // connections from one IPv4 address or IPv6 /64; those of trusted_proxies are not limited. Default 1000, or max if that is less.
}

// Drain configures how the server stops.
type Drain struct {
	// ReadyDelay is how long the server goes on serving after the signal to stop, while
	// /readyz responds with 503: until load balancers have noticed. Requests under way
	// then have 10s to finish. Default 5s; 0s for none.
	ReadyDelay Delay `yaml:"ready_delay"`
}
