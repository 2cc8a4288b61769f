package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// UserInfo answers with the claims of the ID token's builder (OpenID Connect
// Core §5.3).
func (s *server) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	p := s.p
	token, g, c, err := p.bearer(ctx, r.Data.AccessToken)
	if err != nil {
		return nil, s.tokenError(ctx, err)
	}
	person, scopes, err := p.authorizeSubject(ctx, c, g, token.Scopes)
	if err != nil {
		return nil, s.tokenError(ctx, err)
	}
	if !slices.Contains(scopes, claims.OpenID) {
		return nil, op.NewStatusError(&oidc.Error{ErrorType: insufficientScope, Description: "the access token lacks the scope openid"}, http.StatusForbidden)
	}
	sub := p.subFor(c, g.Sub)
	var o claims.Object
	o.String("sub", sub)
	claims.Add(&o, person, sub, scopes)
	answer := op.NewResponse(json.RawMessage(o.JSON()))
	if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(c.AllowedOrigins, origin) {
		allowOrigin(answer.Header, origin)
	}
	return answer, nil
}

// bearer finds an access token with its grant and client: errGone when there is
// none. authorizeSubject says whether it is still good.
func (p *Provider) bearer(ctx context.Context, token string) (grant.AccessToken, grant.Grant, client.Client, error) {
	t, g, err := p.Grants.AccessToken(ctx, grant.HashToken(token))
	if errors.Is(err, grant.ErrNotFound) {
		err = errGone
	}
	if err != nil {
		return grant.AccessToken{}, grant.Grant{}, client.Client{}, err
	}
	c, err := p.Clients.Client(ctx, g.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		err = errGone
	}
	return t, g, c, err
}

// tokenError is the answer to a bearer token that does not do (RFC 6750 §3.1).
func (s *server) tokenError(ctx context.Context, err error) error {
	if errors.Is(err, errGone) {
		return op.NewStatusError(&oidc.Error{ErrorType: invalidToken, Description: "the access token is unknown, expired or revoked"}, http.StatusUnauthorized)
	}
	return s.internal(ctx, "userinfo", err)
}
