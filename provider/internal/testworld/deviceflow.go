// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"fmt"
	"net/url"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/deviceflow"
)

// DeviceGrant is the grant type of RFC 8628 §3.4.
const DeviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// DevicePolicy is that of worlds WithDevices.
var DevicePolicy = deviceflow.Policy{
	Enabled:    true,
	Lifetime:   10 * time.Minute,
	Interval:   5 * time.Second,
	Network:    Wide,
	Client:     Wide,
	Deployment: Wide,
	UserCodes:  Wide,
}

// WithDevices turns the device flow on, with clients that use it: "tv", a public one;
// "box", a confidential one; and "tv-third", whose users must consent.
func WithDevices(c *Config) {
	c.Provider.DeviceFlow = DevicePolicy
	hash := []client.SecretHash{client.HashSecret(Secret)}
	c.Clients = append(c.Clients,
		client.Client{ID: "tv", Name: "TV", Public: true, DeviceFlow: true},
		client.Client{ID: "box", Name: "Box", SecretHashes: hash, DeviceFlow: true, RedirectURIs: []string{"https://box.example/cb"}},
		client.Client{ID: "tv-third", Name: "Third TV", Public: true, DeviceFlow: true, Consent: client.ConsentRemember},
	)
}

// Device is a device that waits for its user.
type Device struct {
	ClientID string
	Code     string // device_code
	UserCode string
}

// StartDevice begins the sign-in of a public client's device.
func (w *World) StartDevice(clientID, scope string) Device {
	w.t.Helper()
	r := w.Post("/device_authorization", url.Values{"client_id": {clientID}, "scope": {scope}})
	d := Device{ClientID: clientID, Code: r.Member("device_code"), UserCode: r.Member("user_code")}
	if r.StatusCode != 200 || d.Code == "" || d.UserCode == "" {
		w.t.Fatalf("a device asks: got %v, want codes", r)
	}
	return d
}

// Poll presents the code of a public client's device.
func (w *World) Poll(d Device) Response {
	w.t.Helper()
	return w.Post("/token", url.Values{"grant_type": {DeviceGrant}, "client_id": {d.ClientID}, "device_code": {d.Code}})
}

// Text returns a member of a JSON object as text, for messages and searches.
func Text(member any) string { return fmt.Sprint(member) }

// Reopening returns the request for a page that is shown in another language.
func Reopening(sealed string) authorize.Reopening { return authorize.Reopening{Request: sealed} }

// DeviceClient returns a public client of devices, to register.
func DeviceClient() client.Client {
	return client.Client{Name: "Added TV", Public: true, DeviceFlow: true}
}
