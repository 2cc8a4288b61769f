package provider

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/subject"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// server is the library's op.Server over our stores: it is called with requests
// that guard.go has checked and the library has parsed. What it does not
// implement, the library refuses.
type server struct {
	op.UnimplementedServer
	p *Provider
}

var _ op.Server = (*server)(nil)

// libraryHandler mounts the server at the direct endpoints. The library's own
// CORS, which reflects any origin with credentials, is off (see cors.go); its
// other routes are never reached, because only these paths lead to it.
func (p *Provider) libraryHandler() http.Handler {
	return op.RegisterServer(&server{p: p}, op.Endpoints{
		Token:         op.NewEndpoint(PathToken),
		Userinfo:      op.NewEndpoint(PathUserinfo),
		Introspection: op.NewEndpoint(PathIntrospect),
		Revocation:    op.NewEndpoint(PathRevoke),
	}, op.WithServerCORSOptions(nil))
}

// Error codes that the library has no word for.
const (
	invalidToken      = "invalid_token"      // RFC 6750 §3.1
	insufficientScope = "insufficient_scope" // RFC 6750 §3.1
)

// internal hides a failure of ours (invariant 10).
func (s *server) internal(ctx context.Context, what string, err error) error {
	known := (*oidc.Error)(nil)
	if errors.As(err, &known) {
		return err
	}
	return op.NewStatusError(oidc.ErrServerError().WithDescription("internal error, reference %s", s.p.correlated(ctx, what, err)),
		http.StatusInternalServerError)
}

// VerifyClient authenticates the client of a request (RFC 6749 §2.3.1).
func (s *server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	c, err := s.authenticate(ctx, r.Data)
	if err != nil {
		return nil, err
	}
	return relyingParty{c}, nil
}

func (s *server) authenticate(ctx context.Context, given *op.ClientCredentials) (client.Client, error) {
	c, err := s.p.Clients.Authenticate(ctx, given.ClientID, given.ClientSecret)
	if errors.Is(err, client.ErrUnauthenticated) {
		return client.Client{}, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("client authentication failed"), http.StatusUnauthorized)
	}
	if err != nil {
		return client.Client{}, s.internal(ctx, "client authentication", err)
	}
	return c, nil
}

// errGone is the one answer to a grant whose client or person may not have it
// any more.
var errGone = errors.New("provider: the client or the person may not have this any more")

// authorizeSubject is asked at every use of a grant, whatever kind: is the
// person still there, and which of the scopes may this client still have?
func (p *Provider) authorizeSubject(ctx context.Context, c client.Client, g grant.Grant, scopes []string) (subject.Person, []string, error) {
	allowed := make([]string, 0, len(scopes))
	for _, scope := range scopes {
		if c.AllowsScope(scope) {
			allowed = append(allowed, scope)
		}
	}
	if g.ClientID != c.ID || c.Follows(g.Created) || g.Revoked || g.Offline && !c.AllowsScope(claims.OfflineAccess) {
		return subject.Person{}, nil, errGone
	}
	person, err := p.People.Person(ctx, g.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return subject.Person{}, nil, errGone
	}
	return person, allowed, err
}

// relyingParty lets the library see a client of ours. It asks for no more than
// the ID and the grant types; the rest of the interface belongs to paths of the
// library that are not used.
type relyingParty struct{ client.Client }

var _ op.Client = relyingParty{}

// ours is the client behind the library's.
func ours(c op.Client) client.Client { return c.(relyingParty).Client }

var (
	grantTypes    = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken} // those that the library serves
	responseTypes = []oidc.ResponseType{oidc.ResponseTypeCode}
)

// grantTypes are those of the token endpoint.
func (p *Provider) grantTypes() []oidc.GrantType {
	for _, app := range p.Apps {
		if app.NativeClientID != "" {
			return append(grantTypes[:2:2], oidc.GrantTypeTokenExchange)
		}
	}
	return grantTypes
}

func joined(types []oidc.GrantType) string {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func (c relyingParty) GetID() string                        { return c.ID }
func (c relyingParty) RedirectURIs() []string               { return c.Client.RedirectURIs }
func (c relyingParty) PostLogoutRedirectURIs() []string     { return c.Client.PostLogoutRedirectURIs }
func (c relyingParty) ApplicationType() op.ApplicationType  { return op.ApplicationTypeWeb }
func (c relyingParty) ResponseTypes() []oidc.ResponseType   { return responseTypes }
func (c relyingParty) GrantTypes() []oidc.GrantType         { return grantTypes }
func (c relyingParty) LoginURL(string) string               { return "" }
func (c relyingParty) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c relyingParty) IDTokenLifetime() time.Duration       { return 0 }
func (c relyingParty) DevMode() bool                        { return false }
func (c relyingParty) IsScopeAllowed(scope string) bool     { return c.AllowsScope(scope) }
func (c relyingParty) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c relyingParty) ClockSkew() time.Duration             { return 0 }
func (c relyingParty) AuthMethod() oidc.AuthMethod {
	if c.Public {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}
func (c relyingParty) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (c relyingParty) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
