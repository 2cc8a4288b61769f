// SPDX-License-Identifier: Apache-2.0

package token

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// introspection is the response of the introspection endpoint (RFC 7662 §2.2).
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Exp       int64    `json:"exp,omitempty"` // seconds since 1970
	Iat       int64    `json:"iat,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	Sub       string   `json:"sub,omitempty"`
	Aud       string   `json:"aud,omitempty"`
	Iss       string   `json:"iss,omitempty"`
	SID       string   `json:"sid,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
}

// introspect tells the confidential client that a token was issued to what the
// token is good for (RFC 7662). To any other client the token is as inactive as an
// unknown one: it says something about its user, and clients are strangers to each
// other.
func (e *Endpoint) introspect(r *http.Request, c client.Client, in endpoint.Parameters) (any, error) {
	if in.Get("token") == "" {
		return nil, endpoint.InvalidRequest("token missing")
	}
	out, err := e.describe(r, c, in.Get("token"))
	switch {
	case errors.Is(err, errRevoked), errors.Is(err, grant.ErrNotFound):
		return &introspection{}, nil
	case err != nil:
		return nil, fmt.Errorf("introspection: %w", err)
	}
	return out, nil
}

func (e *Endpoint) describe(r *http.Request, c client.Client, text string) (*introspection, error) {
	ctx := r.Context()
	out := &introspection{Active: true}
	var g grant.Grant
	var scopes []string
	var err error
	if id, generation, ok := grant.ParseRefreshToken(e.mac, text); ok {
		g, err = e.cfg.Grants.Grant(ctx, id)
		if err == nil && !e.cfg.GrantPolicy.Refreshable(g, generation, time.Now()) {
			err = errRevoked
		}
		scopes = g.Scopes
		out.Exp, out.Iat = g.Expires.Unix(), g.Rotated.Unix()
	} else {
		var t grant.AccessToken
		t, g, _, err = e.accessToken(ctx, text)
		scopes = t.Scopes
		out.TokenType, out.Exp, out.Iat = oidc.BearerToken, t.Expires.Unix(), t.Issued.Unix()
	}
	if err != nil {
		return nil, err
	}
	if _, scopes, err = e.policy.allowed(ctx, c, g, scopes); err != nil {
		return nil, err
	}
	out.Scope, out.ClientID = strings.Join(scopes, " "), c.ID
	out.AuthTime, out.ACR, out.AMR, out.SID = g.AuthTime.Unix(), g.ACR, g.AMR, e.cfg.Tokens.SID(c, g.SID)
	out.Sub, out.Aud, out.Iss = e.cfg.Tokens.Subject(c, g.Sub), c.ID, e.cfg.Issuer
	return out, nil
}
