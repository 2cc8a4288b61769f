// SPDX-License-Identifier: Apache-2.0

package client

import (
	"strings"

	"calleridp/provider/fetch"
)

// BackChannel is how a client hears from our server that a session has ended (OpenID Connect
// Back-Channel Logout 1.0 §2.2).
type BackChannel struct {
	LogoutURI       string // backchannel_logout_uri; "" for none
	SessionRequired bool   // backchannel_logout_session_required: its logout tokens need a sid
}

// validateBackChannel returns why the settings are refused, nil if they are not.
func validateBackChannel(c Client) (invalid FieldErrors) {
	if reason := checkBackChannel(c); reason != "" {
		invalid = append(invalid, FieldError{Field: "backchannel_logout_uri", Reason: reason})
	}
	if c.BackChannel.SessionRequired && c.BackChannel.LogoutURI == "" {
		invalid = append(invalid, FieldError{Field: "backchannel_logout_session_required", Reason: "needs backchannel_logout_uri"})
	}
	return invalid
}

// checkBackChannel returns why a backchannel_logout_uri is refused, "" if it is not. It is
// absolute and without a fragment, and has https; http is for confidential clients, and
// here on loopback alone (§2.2).
func checkBackChannel(c Client) (reason string) {
	uri := c.BackChannel.LogoutURI
	switch {
	case uri == "":
		return ""
	case len(uri) > 2048:
		return "is too long"
	case (c.Public || c.Registration != nil) && fetch.Check(uri) != nil:
		return "must be an https URL without user and fragment (Back-Channel Logout §2.2)"
	case fetch.CheckPost(uri) != nil:
		return "must be an https URL without user and fragment, or http on loopback"
	case c.SigningAlg() == AlgNone: // §2.4: it has the algorithm of the client's ID tokens, and is signed
		return "needs signed ID tokens: id_token_signed_response_alg is none (Back-Channel Logout §2.4)"
	}
	return ""
}

// Told reports whether a receiver of notices may be told something: a client that a session has
// ended, a stream what is about its client's users. Not if the configuration declares the client
// without an address for logout tokens, or without signals. Stored clients may; what delivers
// the notices looks them up.
func (r *Registry) Told(receiver string) bool {
	clientID, isStream := strings.CutPrefix(receiver, "stream:") // signals.Lane
	c, declared := r.inConfig(clientID)
	switch {
	case !declared:
		return true
	case isStream:
		return c.Signals
	}
	return c.BackChannel.LogoutURI != ""
}

// Told is Registry.Told for clients of which there is no registry.
func Told(config []Client) func(clientID string) bool {
	r := &Registry{}
	all := declared{}
	for _, c := range config {
		all[c.ID] = c
	}
	r.config.Store(&all)
	return r.Told
}
