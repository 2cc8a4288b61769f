// SPDX-License-Identifier: Apache-2.0

package admin

import "calleridp/provider/client"

// Settings returns the client as the registry has it, without its secrets.
func (c Client) Settings() (client.Client, error) {
	settings, err := registered(c)
	settings.FromConfig = c.FromConfig
	if c.Registered {
		settings.Registration = &client.Registration{}
	}
	return settings, err
}
