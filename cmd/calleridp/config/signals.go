// SPDX-License-Identifier: Apache-2.0

package config

// Signals configures the transmitter of the OpenID Shared Signals Framework 1.0: applications
// learn that a session was revoked, that a number has another user, or that an account was
// deleted. Each client that may have a stream of events has signals. See docs/signals.md.
type Signals struct {
	// Enabled turns the transmitter on. Default false.
	Enabled bool `yaml:"enabled"`
}
