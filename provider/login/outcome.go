// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// BrowserSecret is the value of the cookie that binds attempts to the browser that
// started them (invariant 2). A store keeps its SHA-256.
type BrowserSecret string

// NewBrowserSecret returns 32 random bytes as 43 characters of base64url.
func NewBrowserSecret() BrowserSecret { return BrowserSecret(keys.RandomText(32)) }

// The methods of package redact keep secrets out of logs (invariant 10).
func (BrowserSecret) String() string                 { return redact.Mark }
func (BrowserSecret) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (BrowserSecret) LogValue() slog.Value           { return redact.Value() }
func (BrowserSecret) MarshalText() ([]byte, error)   { return redact.Encode() }
func (BrowserSecret) MarshalBinary() ([]byte, error) { return redact.Encode() }

// hashOf returns what a store keeps of a browser's secret.
func hashOf(browser BrowserSecret) browserHash { return sha256.Sum256([]byte(browser)) }

// ErrNotYours says that the browser is not the one that started the attempt
// (invariant 2).
var ErrNotYours = errors.New("login: the attempt belongs to another browser")

// startedBy returns nil when browser is the secret of the browser that started the
// attempt, else ErrNotYours. It compares in constant time.
func (a *Attempt) startedBy(browser BrowserSecret) error {
	hash := hashOf(browser)
	if browser == "" || subtle.ConstantTimeCompare(hash[:], a.Browser[:]) != 1 {
		return ErrNotYours
	}
	return nil
}

// Outcome is what a finished attempt gives its browser. All of it is random, and
// is stored with the attempt, so that a browser whose response was lost can have
// the same one again.
type Outcome struct {
	Code    redact.Text    // the authorization code
	GrantID string         // of the grant that the code buys
	Session session.Secret // the session's cookie
	SID     string         // the session's ID
	Access  redact.Text    // the access token of the authorization endpoint; "" for none
}

// NewOutcome returns a new outcome.
func NewOutcome() Outcome {
	return Outcome{
		Code:    grant.NewCode(),
		GrantID: grant.NewID(),
		Session: session.NewSecret(),
		SID:     keys.RandomText(16),
	}
}

// OutcomeFor returns the outcome of a finished attempt to the browser that started
// it. ErrState if there is none, ErrNotYours for another browser.
func (a *Attempt) OutcomeFor(browser BrowserSecret) (Outcome, error) {
	if err := a.startedBy(browser); err != nil {
		return Outcome{}, err
	}
	if len(a.Outcome) == 0 {
		return Outcome{}, ErrState
	}
	lock, err := lockOf(a.ID, browser)
	if err != nil {
		return Outcome{}, err
	}
	plain, err := lock.Open(nil, nil, a.Outcome, []byte(a.ID))
	if err != nil {
		return Outcome{}, fmt.Errorf("login: the outcome of attempt %s does not open: %w", a.ID, err)
	}
	var o Outcome
	if err := json.Unmarshal(plain, &o); err != nil {
		return Outcome{}, fmt.Errorf("login: the outcome of attempt %s: %w", a.ID, err)
	}
	return o, nil
}

// seal returns the outcome as it is stored: encrypted under the secret of the
// browser that started the attempt, which is not stored. So neither the master key
// nor the store's file nor both together give a live session or a code.
func (o Outcome) seal(id ID, browser BrowserSecret) ([]byte, error) {
	lock, err := lockOf(id, browser)
	if err != nil {
		return nil, err
	}
	// The names of the fields, which would be redacted as they are.
	fields := map[string]string{
		"Code": string(o.Code), "GrantID": o.GrantID, "Session": string(o.Session), "SID": o.SID,
	}
	if o.Access != "" {
		fields["Access"] = string(o.Access)
	}
	plain, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return lock.Seal(nil, nil, plain, []byte(id)), nil
}

// lockOf returns the cipher for the outcome of one attempt. Its key is independent
// of the SHA-256 of the secret, which is stored.
func lockOf(id ID, browser BrowserSecret) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(browser), nil, "calleridp attempt outcome "+string(id), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
