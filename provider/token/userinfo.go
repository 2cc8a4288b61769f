// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/redact"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// userinfo responds with the claims that the ID token's builder makes (OpenID
// Connect Core §5.3), as JSON or as the JWT that the client has registered (§5.3.2).
// Errors are JSON.
func (e *Endpoint) userinfo(w http.ResponseWriter, r *http.Request) (any, error) {
	w.Header().Add("Vary", "Origin")
	c, claims, err := e.userClaims(r)
	if err != nil {
		e.cfg.Direct.AllowAnyClient(w, r)
		return nil, err
	}
	endpoint.AllowClient(w, r, c)
	if !c.Responses.UserinfoJWT() {
		return claims, nil
	}
	token, err := e.cfg.Tokens.Userinfo(r.Context(), c, claims)
	if err != nil {
		return nil, withheld(err)
	}
	return endpoint.JWT(token), nil
}

func (e *Endpoint) userClaims(r *http.Request) (client.Client, json.RawMessage, error) {
	ctx := r.Context()
	text, err := bearerToken(r)
	if err != nil {
		return client.Client{}, nil, err
	}
	t, g, c, err := e.accessToken(ctx, text)
	if err != nil {
		return client.Client{}, nil, invalidToken(err)
	}
	person, scopes, err := e.policy.allowed(ctx, c, g, t.Scopes)
	if err != nil {
		return client.Client{}, nil, invalidToken(err)
	}
	if !slices.Contains(scopes, claims.OpenID) {
		refusal := oidc.Error{ErrorType: "insufficient_scope"} // RFC 6750 §3.1
		return client.Client{}, nil, endpoint.NewRefusal(http.StatusForbidden, refusal.WithDescription("the access token lacks the scope openid"))
	}
	sub := e.cfg.Tokens.Subject(c, g.Sub)
	var o claims.Object
	if c.Responses.UserinfoJWT() { // OpenID Connect Core §5.3.2
		o.String("iss", e.cfg.Issuer)
		o.String("aud", c.ID)
	}
	o.String("sub", sub)
	claims.Add(&o, person, sub, c.UserinfoScopes(scopes), c.NamedClaims(g.UserinfoClaims, g.Scopes, scopes))
	return c, o.JSON(), nil
}

// accessToken returns an access token with its grant and client: errRevoked when
// it is unknown. The policy decides whether it is still good.
func (e *Endpoint) accessToken(ctx context.Context, text string) (grant.AccessToken, grant.Grant, client.Client, error) {
	t, g, err := e.cfg.Grants.AccessToken(ctx, grant.HashToken(redact.Text(text)))
	if errors.Is(err, grant.ErrNotFound) || err == nil && !t.Live(time.Now()) {
		err = errRevoked
	}
	if err != nil {
		return grant.AccessToken{}, grant.Grant{}, client.Client{}, err
	}
	c, err := e.cfg.Clients.Client(ctx, g.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		err = errRevoked
	}
	return t, g, c, err
}

// invalidToken refuses a bearer token that is not good (RFC 6750 §3.1). Any other
// error is internal.
func invalidToken(err error) error {
	if !errors.Is(err, errRevoked) {
		return err
	}
	refusal := oidc.Error{ErrorType: "invalid_token"}
	return endpoint.NewRefusal(http.StatusUnauthorized, refusal.WithDescription("the access token is unknown, expired or revoked"))
}

// errNoToken names no error, because the request has no token (RFC 6750 §3.1).
var errNoToken = endpoint.NewRefusal(http.StatusUnauthorized, &oidc.Error{Description: "an access token is needed"})

// bearerToken returns the access token of a request: in the header, or in the form
// of a POST, never in the URL (RFC 6750 §2.1, §2.2, RFC 9700 §4.3.2).
func bearerToken(r *http.Request) (string, error) {
	inBody := ""
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		body, err := endpoint.Body(r)
		switch {
		case errors.Is(err, endpoint.ErrMediaType): // a body that is not a form has no token
		case err != nil:
			return "", endpoint.InvalidRequest(err.Error())
		case body.AnyRepeated() != "":
			return "", endpoint.InvalidRequest(endpoint.ErrRepeated.Error())
		default:
			inBody = body.Get("access_token")
		}
	}
	header := r.Header.Values("Authorization")
	inURL := strings.Join(endpoint.ParseForm(r.URL.RawQuery)["access_token"], "") != ""
	switch {
	case len(header) == 0 && inBody == "":
		return "", errNoToken
	case inURL:
		return "", endpoint.InvalidRequest("an access token is never sent in the URL (RFC 6750 section 2)")
	case len(header) == 0:
		return inBody, nil
	case len(header) > 1 || inBody != "":
		return "", endpoint.InvalidRequest("the access token is sent in more than one way (RFC 6750 section 2)")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, oidc.BearerToken) || token == "" {
		return "", errNoToken
	}
	return token, nil
}
