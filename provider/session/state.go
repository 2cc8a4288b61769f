// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"

	"calleridp/keys"
	"calleridp/provider/redact"
)

// BrowserState is what a browser keeps in a cookie that scripts of ours may read: who is
// signed in, as a value that means nothing elsewhere and changes with each sign-in and
// sign-out (the OP User Agent state of OpenID Connect Session Management 1.0 §3.2). ""
// means that no user is signed in. The value gives no access.
type BrowserState string

// browserState is the form of a state. A value of another form is not ours.
var browserState = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// ParseBrowserState returns the state that a cookie has, "" for a value of another form.
func ParseBrowserState(s string) BrowserState {
	if !browserState.MatchString(s) {
		return ""
	}
	return BrowserState(s)
}

// States knows the state of a browser by its session.
type States struct{ master *keys.Master }

// NewStates returns States.
func NewStates(master *keys.Master) States { return States{master: master} }

// Of returns the state of a browser with this session, "" for none. Only the holder of the
// master key can tell the session of a state, or the state of a sid.
func (s States) Of(sessionID string) BrowserState {
	if sessionID == "" {
		return ""
	}
	mac := s.master.MAC(keys.PurposeBrowserState, []byte(sessionID))
	return BrowserState(base64.RawURLEncoding.EncodeToString(mac[:]))
}

// ForClient returns the session_state of an authorization response to a page of this
// origin, with a salt of its own (§2, §3.2). ui/static/session.js makes the same of the
// cookie. No space is in it, and two clients cannot compare theirs. The response that has
// this code is the same however often it is given; without a code, each is another.
func (b BrowserState) ForClient(clientID, origin string, code redact.Text) string {
	salt := keys.RandomText(16)
	if code != "" {
		sum := sha256.Sum256([]byte(string(b) + " " + string(code)))
		salt = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return b.salted(clientID, origin, salt)
}

func (b BrowserState) salted(clientID, origin, salt string) string {
	sum := sha256.Sum256([]byte(clientID + " " + origin + " " + string(b) + " " + salt))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}
