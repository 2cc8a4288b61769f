// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"
	"calleridp/truecaller/phone"
)

const (
	flowCookie    = "calleridp_console_flow"
	sessionCookie = "calleridp_console"
)

// browser is a signed-in browser, sealed in its cookie. It counts as long as what it is
// anchored in: that is in the store, so that signing out ends it on every server, and a copy
// of the cookie with it.
type browser struct {
	SID, Sub string
	Number   string // digits
	Key      string // ID of the API key in place of Sub and Number; SID is random then
	Began    int64  // seconds since 1970
	Seen     int64
	Bond     []byte // authenticates the rest under the anchor's secret
}

// Expiry implements endpoint.Box.
func (b *browser) Expiry() int64 {
	return min(b.Began+int64(LongestLife/time.Second), b.Seen+int64(IdleAfter/time.Second))
}

// Session is a signed-in operator.
type Session struct {
	Who    string // for the audit
	Name   string // the masked number, or the name of the API key
	Role   Role
	Scopes []apikey.Scope
	Until  time.Time // when the API key ends; zero: the operator has none
	Token  string    // of the session's forms

	sub, sid string // "" for an API key
}

// anchor is the record that a session of the console hangs on: the session at the issuer in
// which the operator signed in, or the API key.
type anchor struct {
	secret [32]byte // a hash that only the store has: the master key does not give it
	key    apikey.Key
}

// ErrSignedOut says that the browser has no session.
var ErrSignedOut = errors.New("console: no session")

// Session returns the session of a browser, and renews its cookie. ErrSignedOut if there is
// none; what the list of operators and the store say counts at each request.
func (c *Console) Session(w http.ResponseWriter, r *http.Request) (Session, error) {
	b, on, err := c.open(r.Context(), r)
	if err != nil {
		return Session{}, err
	}
	s, err := c.operatorOf(r.Context(), b, on)
	if err != nil {
		return Session{}, err
	}
	if now := time.Now().Unix(); now-b.Seen >= int64(seenEvery/time.Second) {
		b.Seen = now
		if err := c.keep(w, b, on); err != nil {
			return Session{}, err
		}
	}
	s.Token = c.token(b, on)
	return s, nil
}

// operatorOf returns who has signed in and what they may do now.
func (c *Console) operatorOf(ctx context.Context, b browser, on anchor) (Session, error) {
	if k := on.key; k.ID != "" {
		return Session{Who: whoHas(k), Name: k.Name, Role: Key, Scopes: k.Scopes, Until: k.Expires}, nil
	}
	number, err := phone.FromDigits(b.Number)
	if err != nil {
		return Session{}, ErrSignedOut
	}
	o, err := c.admit(ctx, number, b.Sub)
	if errors.Is(err, ErrNotListed) || errors.Is(err, ErrAnotherUser) {
		return Session{}, ErrSignedOut
	}
	if err != nil {
		return Session{}, err
	}
	return Session{Who: who(b.Sub), Name: o.Number.Masked(), Role: o.Role, Scopes: o.Role.Scopes(), sub: b.Sub, sid: b.SID}, nil
}

// UseKey keeps the holder of an API key signed in, which the caller has authenticated.
func (c *Console) UseKey(w http.ResponseWriter, r *http.Request, k apikey.Key) error {
	now := time.Now().Unix()
	b := browser{SID: keys.RandomText(16), Key: k.ID, Began: now, Seen: now}
	if err := c.keep(w, b, anchor{k.Hash, k}); err != nil {
		return err
	}
	c.cfg.Audit.Record(audit.WithOperator(r.Context(), whoHas(k)), audit.Event{Name: audit.ConsoleSignedIn})
	return nil
}

func whoHas(k apikey.Key) string { return fmt.Sprintf("console key %s (%s)", k.Name, k.ID) }

// open opens the cookie, and checks it with the record that it is anchored in. The seal alone
// does not count: an attacker with the master key can make one, for the ID of an API key or
// the sid of a session, neither of which is secret.
func (c *Console) open(ctx context.Context, r *http.Request) (browser, anchor, error) {
	var b browser
	sealed := c.cookie(r, sessionCookie)
	if sealed == "" || endpoint.Open(c.cfg.Master, keys.PurposeConsoleSession, sealed, &b, time.Now()) != nil {
		return browser{}, anchor{}, ErrSignedOut
	}
	on, err := c.anchorOf(ctx, b)
	if err != nil {
		return browser{}, anchor{}, err
	}
	if subtle.ConstantTimeCompare(b.Bond, c.bond(b, on)) != 1 {
		return browser{}, anchor{}, ErrSignedOut
	}
	return b, on, nil
}

// anchorOf returns the record that a session hangs on, or ErrSignedOut if it has ended.
func (c *Console) anchorOf(ctx context.Context, b browser) (anchor, error) {
	if b.Key != "" {
		k, err := c.cfg.Keys.APIKey(ctx, b.Key)
		if errors.Is(err, apikey.ErrNotFound) || err == nil && !time.Now().Before(k.Expires) {
			return anchor{}, ErrSignedOut
		}
		return anchor{k.Hash, k}, err
	}
	s, err := c.cfg.Sessions.Session(ctx, b.SID)
	if errors.Is(err, session.ErrNotFound) || err == nil && s.Sub != b.Sub {
		return anchor{}, ErrSignedOut
	}
	return anchor{secret: s.Secret}, err
}

// bond authenticates everything that the cookie says, so that it can neither be made nor
// extended without the anchor's secret.
func (c *Console) bond(b browser, on anchor) []byte {
	times := fmt.Sprintf("%d %d", b.Began, b.Seen)
	mac := c.cfg.Master.MAC(keys.PurposeConsoleBond, on.secret[:], []byte(b.SID), []byte(b.Sub), []byte(b.Number), []byte(b.Key), []byte(times))
	return mac[:]
}

// SignOut ends the session, and the one at the issuer with it. A copy of the cookie of an
// API key ends with the key.
func (c *Console) SignOut(w http.ResponseWriter, r *http.Request, s Session) error {
	if s.sid != "" {
		if _, err := c.cfg.Sessions.EndSession(r.Context(), s.sid); err != nil {
			return err
		}
	}
	c.clearCookie(w, sessionCookie, http.SameSiteStrictMode)
	c.cfg.Audit.Record(audit.WithOperator(r.Context(), s.Who), audit.Event{Name: audit.ConsoleSignedOut, Subject: s.sub})
	return nil
}

// IsToken reports whether a form comes from a page of this session.
func (s Session) IsToken(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) == 1
}

func (c *Console) token(b browser, on anchor) string {
	mac := c.cfg.Master.MAC(keys.PurposeConsoleForm, on.secret[:], []byte(b.SID), []byte(b.Sub), []byte(b.Key))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// keep sets the session's cookie. Strict: no page of another site opens the console as
// the operator.
func (c *Console) keep(w http.ResponseWriter, b browser, on anchor) error {
	b.Bond = c.bond(b, on)
	sealed, err := endpoint.Seal(c.cfg.Master, keys.PurposeConsoleSession, b)
	if err != nil {
		return err
	}
	c.setCookie(w, sessionCookie, sealed, time.Until(time.Unix(b.Expiry(), 0)), http.SameSiteStrictMode)
	return nil
}

func (c *Console) cookieName(base string) string {
	if c.Secure() {
		return "__Host-" + base
	}
	return base
}

func (c *Console) cookie(r *http.Request, base string) string {
	cookie, err := r.Cookie(c.cookieName(base))
	if err != nil || len(cookie.Value) > 2048 {
		return ""
	}
	return cookie.Value
}

func (c *Console) setCookie(w http.ResponseWriter, base, value string, life time.Duration, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{
		Name: c.cookieName(base), Value: value, Path: "/", MaxAge: max(1, int(life/time.Second)),
		Secure: c.Secure(), HttpOnly: true, SameSite: site,
	})
}

func (c *Console) clearCookie(w http.ResponseWriter, base string, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{
		Name: c.cookieName(base), Path: "/", MaxAge: -1, Secure: c.Secure(), HttpOnly: true, SameSite: site,
	})
}
