// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/redact"
	"calleridp/provider/subject"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// response is the successful response of the token endpoint (RFC 6749 §5.1,
// OpenID Connect Core §3.1.3.3).
type response struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	// IssuedTokenType says what access_token is, after a token exchange (RFC 8693
	// §2.2.1).
	IssuedTokenType oidc.TokenType `json:"issued_token_type,omitempty"`
	RefreshToken    string         `json:"refresh_token,omitempty"`
	Scope           string         `json:"scope"`
	IDToken         string         `json:"id_token,omitempty"`
	// SessionState is the sid again, for confidential clients: old Keycloaks read only this
	// one, and without it their back-channel logout does nothing. Applications in a browser
	// would take it for that of the authorization response, which it is not (OpenID Connect
	// Session Management 1.0 §2): oidc-client-ts overwrites one with the other.
	SessionState string `json:"session_state,omitempty"`
}

// issued is what a token response is made of.
type issued struct {
	client client.Client
	person subject.Person
	grant  grant.Grant
	scopes []string
	access redact.Text // the access token
	nonce  string
	now    time.Time

	idToken string // set by sign; "" without the scope openid
}

// Format and LogValue keep tokens out of logs (invariant 10), in what a response is made
// of and in the response.
func (issued) Format(f fmt.State, _ rune)   { redact.Format(f) }
func (issued) LogValue() slog.Value         { return redact.Value() }
func (response) Format(f fmt.State, _ rune) { redact.Format(f) }
func (response) LogValue() slog.Value       { return redact.Value() }

// sign makes the ID token. It comes before the transaction that uses the code or
// the refresh token, because it may fail and must not cost the client either. No
// token leaves before that transaction has accepted the use (invariant 9).
func (e *Endpoint) sign(ctx context.Context, i *issued) (err error) {
	if !slices.Contains(i.scopes, claims.OpenID) {
		return nil
	}
	begun := time.Now()
	defer func() { e.cfg.Steps.Ended(ctx, endpoint.StepIssue, begun, err) }()
	i.idToken, err = e.cfg.Tokens.Token(ctx, idtoken.SignIn{
		Client:      i.client,
		Person:      i.person,
		Grant:       i.grant,
		Scopes:      i.client.IDTokenScopes(i.scopes),
		Claims:      i.client.NamedClaims(i.grant.IDTokenClaims, i.grant.Scopes, i.scopes),
		AccessToken: i.access,
		Nonce:       i.nonce,
		Now:         i.now,
	})
	return withheld(err)
}

// withheld is the refusal of a response that must be encrypted to the client, and cannot
// be. No error code of RFC 6749 §5.2 says that; invalid_client comes nearest: what the
// client has registered is not right. No code and no refresh token was used up.
func withheld(err error) error {
	if !errors.Is(err, idtoken.ErrNoEncryptionKey) {
		return err
	}
	return endpoint.NewRefusal(http.StatusBadRequest,
		oidc.ErrInvalidClient().WithDescription("the response is to be encrypted, and the client's jwks or jwks_uri has no key for it, or could not be read"))
}

// respond makes the token response, the same for every grant. g is the grant as
// the transaction has stored it. It cannot fail.
func (e *Endpoint) respond(i issued, g grant.Grant) *response {
	lifetime := e.cfg.GrantPolicy.AccessToken
	out := &response{
		AccessToken: string(i.access),
		TokenType:   oidc.BearerToken,
		ExpiresIn:   int64(lifetime / time.Second),
		Scope:       strings.Join(i.scopes, " "),
		IDToken:     i.idToken,
	}
	if !i.client.Public {
		out.SessionState = e.cfg.Tokens.SID(i.client, g.SID)
	}
	if left := g.Expires.Sub(i.now); g.Offline && left < lifetime {
		out.ExpiresIn = int64(left / time.Second)
	}
	if g.Offline {
		out.RefreshToken = grant.RefreshToken(e.mac, g.ID, g.Generation)
	}
	return out
}
