// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/endpoint"
	"calleridp/truecaller/phone"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// flow is a sign-in that has begun, sealed in a cookie of the browser that began it
// (RFC 9700 §4.7: the response counts in no other browser).
type flow struct {
	State, Nonce, Verifier string
	Began                  int64 // seconds since 1970
}

// Expiry implements endpoint.Box.
func (f *flow) Expiry() int64 { return f.Began + int64(flowLife/time.Second) }

// Begin sends the browser to the issuer, to sign in anew whatever session it has there.
func (c *Console) Begin(w http.ResponseWriter, r *http.Request) error {
	f := flow{State: keys.RandomText(32), Nonce: keys.RandomText(32), Verifier: oauth2.GenerateVerifier(), Began: time.Now().Unix()}
	sealed, err := endpoint.Seal(c.cfg.Master, keys.PurposeConsoleFlow, f)
	if err != nil {
		return err
	}
	// Lax: the response comes from the issuer, which may be another site.
	c.setCookie(w, flowCookie, sealed, flowLife, http.SameSiteLaxMode)
	http.Redirect(w, r, c.oauth.AuthCodeURL(f.State,
		oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier), oauth2.SetAuthURLParam("prompt", "login")), http.StatusSeeOther)
	return nil
}

// leeway is for rounding: auth_time and the flow's beginning are in seconds.
const leeway = 2 * time.Second

// idClaims are the claims of an ID token that decide.
type idClaims struct {
	SID      string `json:"sid"`
	AuthTime int64  `json:"auth_time"`
	Number   string `json:"phone_number"`
	Verified bool   `json:"phone_number_verified"`
}

// Callback takes the issuer's response, and keeps the user signed in if they are an
// operator. The errors that tell the user something are those above; others are failures.
func (c *Console) Callback(w http.ResponseWriter, r *http.Request) error {
	var f flow
	sealed := c.cookie(r, flowCookie)
	c.clearCookie(w, flowCookie, http.SameSiteLaxMode) // whatever comes of it, it is used once
	if sealed == "" || endpoint.Open(c.cfg.Master, keys.PurposeConsoleFlow, sealed, &f, time.Now()) != nil {
		return ErrFlow
	}
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.State)) != 1 || // RFC 6749 §10.12
		q.Get("iss") != c.cfg.Issuer { // RFC 9207 §2.4
		return ErrFlow
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return ErrDeclined
	}
	sub, claims, err := c.redeem(r.Context(), f, q.Get("code"))
	if err != nil {
		return err
	}
	number, err := phone.Parse(claims.Number, "")
	if err != nil {
		return fmt.Errorf("console: the ID token's number: %w", err)
	}
	o, err := c.admit(r.Context(), number, sub)
	if errors.Is(err, ErrNotListed) || errors.Is(err, ErrAnotherUser) {
		reason := "not_listed"
		if errors.Is(err, ErrAnotherUser) {
			reason = "another_user"
		}
		c.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.ConsoleRefused, Subject: sub, Reason: reason})
		return err
	}
	if err != nil {
		return err
	}
	now := time.Now().Unix()
	b := browser{SID: claims.SID, Sub: sub, Number: o.Number.Digits(), Began: now, Seen: now}
	on, err := c.anchorOf(r.Context(), b)
	if errors.Is(err, ErrSignedOut) { // meanwhile, in another tab
		return ErrDeclined
	}
	if err == nil {
		err = c.keep(w, b, on)
	}
	if err != nil {
		return err
	}
	c.cfg.Audit.Record(audit.WithOperator(r.Context(), who(sub)), audit.Event{Name: audit.ConsoleSignedIn, Subject: sub})
	return nil
}

// redeem exchanges the code, and checks the ID token (OpenID Connect Core §3.1.3.7) and
// that it is of a sign-in since the flow began.
func (c *Console) redeem(ctx context.Context, f flow, code string) (sub string, claims idClaims, err error) {
	tokens, err := c.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.inside), code, oauth2.VerifierOption(f.Verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
		return "", idClaims{}, ErrFlow
	}
	if err != nil {
		return "", idClaims{}, fmt.Errorf("console: the token request: %w", err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := c.verifier.Verify(ctx, raw)
	if err != nil {
		return "", idClaims{}, fmt.Errorf("console: the ID token: %w", err)
	}
	if err := token.Claims(&claims); err != nil {
		return "", idClaims{}, fmt.Errorf("console: the ID token: %w", err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.Nonce)) != 1:
		return "", idClaims{}, ErrFlow
	case time.Unix(claims.AuthTime, 0).Before(time.Unix(f.Began, 0).Add(-leeway)):
		return "", idClaims{}, errors.New("console: the ID token is of an earlier sign-in, although prompt=login was asked for")
	case !claims.Verified || claims.Number == "" || claims.SID == "" || token.Subject == "":
		return "", idClaims{}, errors.New("console: the ID token lacks a verified number, a sid or a sub")
	}
	return token.Subject, claims, nil
}
