// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

// The events of the endpoints that clients call.
const (
	ClientUnauthenticated Name = "client.unauthenticated"
	ResponseWithheld      Name = "response.withheld"
)

// RequestObjectRefused is the event of the authorization endpoint.
const RequestObjectRefused Name = "request_object.refused"

// The events of clients that register themselves.
const (
	ClientRegistered    Name = "client.registered"
	ClientChanged       Name = "client.changed"
	ClientDeregistered  Name = "client.deregistered"
	ClientExpired       Name = "client.expired"
	RegistrationRefused Name = "registration.refused"
)

var clientEvents = []Description{
	{
		Name:  ClientUnauthenticated,
		Level: slog.LevelWarn,
		Keys:  keys("endpoint client network error"),
		Per:   keys("network client endpoint"),
		Text: "A caller failed to authenticate as a client, as with a guessed secret. " +
			"`client` is empty if no client has the `client_id`.",
	},
	{
		Name:  RequestObjectRefused,
		Level: slog.LevelWarn,
		Keys:  keys("client network error"),
		Per:   keys("network client"),
		Text: "An authorization request had a request object that was refused, as one that the client has not signed, " +
			"or one that its `request_uri` does not give.",
	},
	{
		Name:  ResponseWithheld,
		Level: slog.LevelWarn,
		Keys:  keys("client error"),
		Per:   keys("client"),
		Text: "A client got no ID token, or no userinfo, because it has registered encryption, " +
			"and its `jwks` or `jwks_uri` has no key for it or could not be read.",
	},
	{
		Name: ClientRegistered,
		Keys: keys("client network"),
		Text: "A client registered itself.",
	},
	{
		Name: ClientChanged,
		Keys: keys("client network"),
		Per:  keys("client network"),
		Text: "A client changed what it has registered.",
	},
	{
		Name: ClientDeregistered,
		Keys: keys("client network"),
		Text: "A client that had registered itself removed itself, and with it its tokens.",
	},
	{
		Name: ClientExpired,
		Keys: keys("client"),
		Text: "A client that had registered itself was removed, because nobody had used it.",
	},
	{
		Name: RegistrationRefused,
		Keys: keys("network error"),
		Per:  keys("network"),
		Text: "A client could not register itself, or not change what it has registered.",
	},
}
