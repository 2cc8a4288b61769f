package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/subject"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// tokenResponse is the successful answer of the token endpoint (RFC 6749 §5.1,
// OpenID Connect Core §3.1.3.3).
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	// IssuedTokenType says what access_token is, after a token exchange (RFC 8693
	// §2.2.1).
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	Scope           string `json:"scope"`
	IDToken         string `json:"id_token,omitempty"`
	// SessionState is the sid again. Old Keycloaks read only this one, and
	// without it their back-channel logout does nothing.
	SessionState string `json:"session_state,omitempty"`
}

func (p *Provider) refreshMAC(parts ...[]byte) [32]byte {
	return p.Master.MAC(keys.PurposeRefreshToken, parts...)
}

// CodeExchange redeems a code (RFC 6749 §4.1.3). The code is consumed before
// any token is made, in the transaction that keeps what it buys (invariant 9).
func (s *server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	c, p, now := ours(r.Client), s.p, time.Now()
	access, hash := grant.NewToken()
	use := grant.CodeUse{
		ClientID:    c.ID,
		RedirectURI: r.Data.RedirectURI,
		Verifier:    r.Data.CodeVerifier,
		Access:      hash,
		At:          now,
	}
	used, err := p.Grants.UseCode(ctx, grant.HashCode(r.Data.Code), func(code grant.Code, stored *grant.Grant) grant.Redemption {
		return p.lives.Redeem(code, stored, use)
	})
	bought, no := used.Current, used.Refused
	if err == nil && no == nil {
		var person subject.Person
		var scopes []string
		if person, scopes, no = p.authorizeSubject(ctx, c, bought, bought.Scopes); no == nil {
			return s.tokens(ctx, issue{c, person, bought, scopes, access, bought.Nonce, now})
		}
	}
	if errors.Is(err, grant.ErrNotFound) {
		no = err
	} else if err != nil {
		return nil, s.internal(ctx, "code exchange", err)
	}
	return nil, s.invalidGrant(ctx, "code", "the code is unknown, used, expired, or was issued for another client, redirect_uri or code_challenge", no, c.ID, bought)
}

// RefreshToken rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14).
func (s *server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	const refusal = "the refresh token is unknown, used, expired or revoked"
	c, p, now := ours(r.Client), s.p, time.Now()
	id, generation, ok := grant.ParseRefreshToken(p.refreshMAC, r.Data.RefreshToken)
	if !ok {
		return nil, s.invalidGrant(ctx, "refresh_token", refusal, grant.ErrNotFound, c.ID, grant.Grant{})
	}
	// Policies first: a refresh that may not be is one that uses nothing up.
	known, err := p.Grants.Grant(ctx, id)
	if errors.Is(err, grant.ErrNotFound) {
		return nil, s.invalidGrant(ctx, "refresh_token", refusal, err, c.ID, grant.Grant{ID: id})
	}
	if err != nil {
		return nil, s.internal(ctx, "refresh", err)
	}
	person, allowed, err := p.authorizeSubject(ctx, c, known, known.Scopes)
	if errors.Is(err, errGone) {
		return nil, s.invalidGrant(ctx, "refresh_token", refusal, err, c.ID, known)
	}
	if err != nil {
		return nil, s.internal(ctx, "refresh", err)
	}
	scopes := []string(r.Data.Scopes)
	if len(scopes) == 0 {
		scopes = allowed
	}
	access, hash := grant.NewToken()
	use := grant.RefreshUse{
		Generation: generation,
		ClientID:   c.ID,
		Scopes:     scopes,
		Access:     hash,
		At:         now,
	}
	used, err := p.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption { return p.lives.Refresh(g, use) })
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, s.invalidGrant(ctx, "refresh_token", refusal, err, c.ID, known)
	case err != nil:
		return nil, s.internal(ctx, "refresh", err)
	case errors.Is(used.Refused, grant.ErrScope):
		return nil, oidc.ErrInvalidScope().WithDescription("scope is wider than what was granted")
	case used.Refused != nil:
		return nil, s.invalidGrant(ctx, "refresh_token", refusal, used.Refused, c.ID, used.Current)
	}
	// No nonce: it belongs to the first ID token (OpenID Connect Core §12.2).
	return s.tokens(ctx, issue{c, person, used.Current, used.Access.Scopes, access, "", now})
}

// issue is what one answer of the token endpoint is made of.
type issue struct {
	client client.Client
	person subject.Person
	grant  grant.Grant
	scopes []string
	access string
	nonce  string
	now    time.Time
}

// tokens is the answer, for the library.
func (s *server) tokens(ctx context.Context, i issue) (*op.Response, error) {
	out, err := s.p.tokenAnswer(i)
	if err != nil {
		return nil, s.internal(ctx, "signing an ID token", err)
	}
	return op.NewResponse(out), nil
}

// tokenAnswer makes the answer: the same for every grant.
func (p *Provider) tokenAnswer(i issue) (*tokenResponse, error) {
	out := &tokenResponse{
		AccessToken: i.access, TokenType: oidc.BearerToken, ExpiresIn: int64(p.lives.AccessToken / time.Second),
		Scope: strings.Join(i.scopes, " "), SessionState: i.grant.SID,
	}
	if left := i.grant.Expires.Sub(i.now); i.grant.Offline && left < p.lives.AccessToken {
		out.ExpiresIn = int64(left / time.Second)
	}
	if i.grant.Offline {
		out.RefreshToken = grant.RefreshToken(p.refreshMAC, i.grant.ID, i.grant.Generation)
	}
	if slices.Contains(i.scopes, claims.OpenID) {
		var err error
		if out.IDToken, err = p.idToken(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// invalidGrant refuses a code or refresh token. The client learns one sentence
// (RFC 6749 §5.2), the log which of its parts is true; a second use goes to the
// audit.
func (s *server) invalidGrant(ctx context.Context, kind, description string, why error, clientID string, g grant.Grant) error {
	attrs := []slog.Attr{slog.String("kind", kind), slog.String("client", clientID), slog.String("grant", g.ID), slog.Any("reason", why)}
	if errors.Is(why, grant.ErrReused) {
		s.p.Audit.LogAttrs(ctx, slog.LevelWarn, "grant.reused", append(attrs, slog.String("sub", g.Sub))...)
	} else {
		s.p.Logger.LogAttrs(ctx, slog.LevelInfo, "grant refused", attrs...)
	}
	return op.NewStatusError(oidc.ErrInvalidGrant().WithDescription("%s", description), http.StatusBadRequest)
}
