// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/idtoken"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// gift is what one response gives: the code, even of a response type that does not send
// it (codes.code), and the access token beside it.
type gift struct {
	code   redact.Text
	access redact.Text // "" for a response type without one
	issued time.Time   // of a response that is given again; zero: now
}

// front makes the tokens of the authorization endpoint (OpenID Connect Core §3.2.2.5,
// §3.3.2.5).
type front struct {
	tokens  *idtoken.Issuer
	people  subject.Store
	clients Clients
	access  time.Duration // lifetime of an access token

	failures endpoint.Failures
}

// idToken makes and signs the ID token of a response, "" for a response type without one.
// It may fail, so it comes before the transaction that uses the sign-in, as at the token
// endpoint (DESIGN.md#token-endpoint-what-may-fail-comes-first). subject.ErrNotFound when
// the user was deleted; an *oidc.Error for the client when the token cannot be encrypted to
// it.
//
// The claims of the scopes are in it only where the client could get them nowhere else (Core
// §5.4, client.FrontScopes): it passes through the browser.
func (f front) idToken(ctx context.Context, q *request, c client.Client, s session.Session, g gift) (redact.Text, error) {
	t := q.responseType()
	if !t.IDToken() {
		return "", nil
	}
	person, err := f.people.Person(ctx, s.Sub)
	if err != nil {
		return "", err
	}
	kept := grantOf(q, s)
	in := idtoken.SignIn{
		Client:      c,
		Person:      person,
		Grant:       kept,
		AccessToken: g.access,
		State:       q.State,
		Nonce:       q.Nonce,
		Now:         time.Now(),
	}
	if t.Code() {
		in.Code = g.code
	}
	in.Scopes = c.FrontScopes(t, c.GrantableScopes(q.Scopes))
	if !t.Code() { // else they are in that of the token endpoint
		in.Claims = c.GrantableClaims(q.IDTokenClaims)
	}
	signed, err := f.tokens.Token(ctx, in)
	if errors.Is(err, idtoken.ErrNoEncryptionKey) {
		return "", oidc.ErrServerError().WithDescription("the ID token must be encrypted, but the client's jwks or jwks_uri has no suitable key or could not be read")
	}
	return redact.Text(signed), err
}

// used marks a client that registered itself as used. If that fails, its next response does.
func (f front) used(ctx context.Context, c client.Client) {
	if err := f.clients.MarkUsed(ctx, c); err != nil {
		f.failures.Correlate(ctx, "a registered client could not be marked as used", err)
	}
}

// parameters returns those of a successful response (RFC 6749 §4.1.2, §4.2.2, OpenID
// Connect Core §3.2.2.5, §3.3.2.5).
func (f front) parameters(q *request, c client.Client, g gift, idToken redact.Text) []endpoint.Parameter {
	var params []endpoint.Parameter
	add := func(name, value string) { params = append(params, endpoint.Parameter{Name: name, Value: value}) }
	if q.responseType().Code() {
		add("code", string(g.code))
	}
	if g.access != "" {
		left := f.access
		if !g.issued.IsZero() {
			left -= time.Since(g.issued)
		}
		add("access_token", string(g.access))
		add("token_type", oidc.BearerToken)
		add("expires_in", strconv.FormatInt(int64(left/time.Second), 10))
		add("scope", strings.Join(withoutOffline(c.GrantableScopes(q.Scopes)), " "))
	}
	if idToken != "" {
		add("id_token", string(idToken))
	}
	return params
}

// succeed makes the successful response to a request. The account page and devices
// get none: such a sign-in ends at a page of ours.
func (r *room) succeed(ctx context.Context, q *request, c client.Client, s session.Session, g gift, idToken redact.Text) Response {
	if q.forAccount() || q.forDevice() {
		return r.responses.signedIn(q)
	}
	if !q.responseType().Code() { // else the token endpoint does
		r.front.used(ctx, c)
	}
	return r.responses.to(q, withState(q, r.states.Of(s.ID), g.code, r.front.parameters(q, c, g, idToken))...)
}

// giveAgain makes the response that a browser has lost once more.
func (r *room) giveAgain(ctx context.Context, q *request, c client.Client, s session.Session, g gift) (Response, error) {
	idToken, err := r.front.idToken(ctx, q, c, s, g)
	if refusal, ok := errors.AsType[*oidc.Error](err); ok {
		return r.responses.refusal(q, refusal), nil
	}
	if err != nil {
		return Response{}, err
	}
	return r.succeed(ctx, q, c, s, g, idToken), nil
}
