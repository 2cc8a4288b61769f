// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"testing"

	"calleridp/provider/client"
)

type everyLogo struct{}

func (everyLogo) Of(client.Client) string { return "/logo/x" }

// A stranger's logo has the host of the response behind it, or is not shown: a device's
// tokens go to no host.
func TestThreat_AStrangersDeviceHasNoLogo(t *testing.T) {
	b := new(Browser)
	b.ShowLogos(everyLogo{})
	stranger := client.Client{ID: "x", DeviceFlow: true, RedirectURIs: []string{"https://bank.example/cb"}, Registration: &client.Registration{}}
	own := stranger
	own.Registration = nil
	for _, row := range []struct {
		c        client.Client
		uri      string
		hasALogo bool
	}{{stranger, "", false}, {stranger, "https://bank.example/cb", true}, {own, "", true}} {
		if got := b.ViewFor(row.c, row.uri).Logo != ""; got != row.hasALogo {
			t.Errorf("%+v to %q: got a logo %t, want %t", row.c, row.uri, got, row.hasALogo)
		}
	}
}
