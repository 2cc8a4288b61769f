// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"strings"
)

// FrontChannel is how a client hears in the browser that a session has ended (OpenID
// Connect Front-Channel Logout 1.0 §2).
type FrontChannel struct {
	LogoutURI       string // frontchannel_logout_uri; "" for none
	SessionRequired bool   // frontchannel_logout_session_required: iss and sid are in its query
}

// validateFrontChannel returns why the setting is refused, nil if it is not. A page of ours
// has the address in a frame, so that it must be where the client's pages are (§2).
func validateFrontChannel(c Client) FieldErrors {
	uri := c.FrontChannel.LogoutURI
	const field = "frontchannel_logout_uri"
	switch reason := checkRedirect(uri); {
	case uri == "" && c.FrontChannel.SessionRequired:
		return FieldErrors{{Field: field, Reason: "missing; frontchannel_logout_session_required needs it"}}
	case uri == "":
		return nil
	case reason != "":
		return FieldErrors{{Field: field, Reason: `"` + uri + `" ` + reason}}
	case OriginOf(uri) == "":
		return FieldErrors{{Field: field, Reason: `"` + uri + `" is not an https address, or one of http on a loopback address`}}
	case !slices.Contains(c.Pages(), OriginOf(uri)):
		return FieldErrors{{Field: field, Reason: `"` + uri + `" has not the scheme, host and port of a redirect URI (OpenID Connect Front-Channel Logout 1.0 §2); those have ` +
			strings.Join(c.Pages(), ", ")}}
	}
	return nil
}
