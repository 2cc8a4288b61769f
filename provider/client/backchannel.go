package client

import (
	"calleridp/provider/fetch"
)

// LogoutChannels are how a client hears that a session has ended, beside its own request.
type LogoutChannels struct {
	// BackchannelURI is the backchannel_logout_uri (OpenID Connect Back-Channel Logout
	// §2.2), "" for none.
	BackchannelURI string
	// BackchannelSession says that logout tokens need a sid
	// (backchannel_logout_session_required).
	BackchannelSession bool
}

// validateLogout returns what is wrong with a client's logout channels.
func validateLogout(c Client) (invalid FieldErrors) {
	if reason := checkBackchannel(c); reason != "" {
		invalid = append(invalid, FieldError{Field: "backchannel_logout_uri", Reason: reason})
	}
	if c.Logout.BackchannelSession && c.Logout.BackchannelURI == "" {
		invalid = append(invalid, FieldError{Field: "backchannel_logout_session_required", Reason: "needs backchannel_logout_uri"})
	}
	return invalid
}

// checkBackchannel returns why a backchannel_logout_uri is refused, "" if it is not. It is
// absolute and without a fragment, and has https; http is for confidential clients, and
// here on loopback alone (§2.2).
func checkBackchannel(c Client) (reason string) {
	uri := c.Logout.BackchannelURI
	switch {
	case uri == "":
		return ""
	case len(uri) > 2048:
		return "is too long"
	case fetch.CheckPost(uri) != nil:
		return "must be an https URL without user and fragment, or http on loopback"
	case (c.Public || c.Registration != nil) && fetch.Check(uri) != nil:
		return "must be an https URL (Back-Channel Logout §2.2)"
	}
	return ""
}

// Told returns a function that reports whether a client may hear that a session has ended:
// not if the configuration declares it without such an address. Stored clients may; what
// delivers the notices looks them up.
func Told(config []Client) func(clientID string) bool {
	told := make(map[string]bool, len(config))
	for _, c := range config {
		told[c.ID] = c.Logout.BackchannelURI != ""
	}
	return func(clientID string) bool {
		wants, known := told[clientID]
		return wants || !known
	}
}
