// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"
)

// request is a validated authorization request (OpenID Connect Core §3.1.2.1). It
// travels sealed in the sign-in form, and is kept in the attempt that it starts:
// nothing is stored for it before (invariant 1).
type request struct {
	ClientID       string              `json:"c"`
	RedirectURI    string              `json:"u"`
	Mode           mode                `json:"f,omitempty"`
	Type           client.ResponseType `json:"t,omitempty"` // "": code
	Scopes         []string            `json:"s"`
	State          string              `json:"st,omitempty"`
	Nonce          string              `json:"n,omitempty"`
	Challenge      string              `json:"p,omitempty"` // PKCE S256; "" for a client excused from it
	MaxAge         *int64              `json:"m,omitempty"` // seconds; nil for no bound
	Prompt         prompt              `json:"r,omitzero"`
	IDTokenClaims  []string            `json:"ic,omitempty"` // requested by name, like the next
	UserinfoClaims []string            `json:"uc,omitempty"`
	HintSub        string              `json:"h,omitempty"`  // sub of the id_token_hint, or the one that claims demands
	ACR            []string            `json:"ac,omitempty"` // of which the sign-in's class must be one; none: any will do
	PushFirst      bool                `json:"pf,omitempty"` // the client prefers a push to one-tap
	UILocales      []string            `json:"l,omitempty"`
	LoginHint      string              `json:"-"` // often a phone number: never sealed
	SubGuessed     bool                `json:"-"` // HintSub comes from claims alone; counts only where no page is shown
	From           *origin             `json:"o,omitempty"`
	Device         *deviceRequest      `json:"v,omitempty"` // if nil, no device started it
	Signed         bool                `json:"g,omitempty"` // a signed request object

	// Until is when the sign-in page expires, in seconds since 1970; 0 before there
	// is one. Every page that shows the request again, or offers another try, keeps
	// the first page's.
	Until int64 `json:"e"`
}

// origin is what is remembered for the session of the browser that submitted a
// request. It is nil until then.
type origin struct {
	Device  session.Device `json:"d"`
	Country string         `json:"c,omitempty"` // ISO 3166-1 alpha-2
}

// Expiry implements endpoint.Box.
func (q *request) Expiry() int64 { return q.Until }

// responseType returns what the response gives.
func (q *request) responseType() client.ResponseType {
	if q.Type == "" {
		return client.TypeCode
	}
	return q.Type
}

// consentScopes returns the scopes to which the user consents: the requested ones, and
// those of claims that are requested by name.
func (q *request) consentScopes() []string {
	return claims.WithScopesOf(q.Scopes, q.IDTokenClaims, q.UserinfoClaims)
}

// forAccount reports whether the request is that of the account page.
func (q *request) forAccount() bool { return q.ClientID == endpoint.AccountClientID }

// maxAge returns the bound on the age of the sign-in, if there is one.
func (q *request) maxAge() (bound time.Duration, bounded bool) {
	if q.MaxAge == nil {
		return 0, false
	}
	return time.Duration(*q.MaxAge) * time.Second, true
}

// sealer seals requests into forms and opens them again.
type sealer struct {
	master   *keys.Master
	lifetime time.Duration // of a page, from opening to sending
}

// seal seals the request. A request that has no page yet gets a lifetime from now
// on.
func (s sealer) seal(q *request) (string, error) {
	if q.Until == 0 {
		q.Until = time.Now().Add(s.lifetime).Unix()
	}
	return endpoint.Seal(s.master, keys.PurposeAuthorizationRequest, q)
}

// opened returns when the first page of a sealed request was made, to the second.
func (s sealer) opened(q *request) time.Time { return time.Unix(q.Until, 0).Add(-s.lifetime) }

// open opens the sealed request of a form: endpoint.ErrBadRequest when it is not
// one, endpoint.ErrRequestExpired, with the request, when it is too old.
func (s sealer) open(sealed string) (*request, error) {
	q := new(request)
	err := endpoint.Open(s.master, keys.PurposeAuthorizationRequest, sealed, q, time.Now())
	if err != nil && !errors.Is(err, endpoint.ErrRequestExpired) {
		return nil, err
	}
	return q, err
}

// submitted opens the sealed request of a form, and finds its client once more.
func (f signInForm) submitted(ctx context.Context, sealed string) (*request, client.Client, error) {
	q, err := f.sealer.open(sealed)
	if errors.Is(err, endpoint.ErrRequestExpired) {
		return nil, client.Client{}, f.clients.restart(ctx, q, err)
	}
	if err != nil {
		return nil, client.Client{}, err
	}
	c, err := f.clients.again(ctx, q)
	return q, c, err
}
