// SPDX-License-Identifier: Apache-2.0

// Package token is the token endpoint (RFC 6749 §3.2, OpenID Connect Core §3.1.3),
// and what becomes of the tokens: userinfo, introspection, revocation.
//
//	token.go       the endpoint: which grant a request uses
//	code.go        authorization_code          refresh.go   refresh_token
//	exchange.go    token exchange: a native application's Truecaller code
//	devicecode.go  device_code: polls of a device without a browser
//	clientcredentials.go  client_credentials: receivers of signals
//	issue.go       the one function that makes a token response
//	policy.go      what must still hold at every use of a grant
//	userinfo.go    introspect.go    revoke.go
//
// A new grant is a file with a grantType of its own, and a line in New.
package token

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/clientauth"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/login"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/truecaller"

	"github.com/go-chi/chi/v5"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Native carries out native sign-ins. *login.Engine does it.
type Native interface {
	Native(ctx context.Context, r login.NativeRequest, issue func(login.Attempt, truecaller.Profile) (grant.Redemption, error)) (login.NativeSignIn, error)
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
	// MarkUsed remembers that a client that registered itself was used.
	MarkUsed(ctx context.Context, c client.Client) error
}

// Config is what the room needs. Everything is required.
type Config struct {
	Issuer      string
	Direct      *endpoint.Direct
	Auth        *clientauth.Authenticator
	Clients     Clients
	Grants      grant.Store
	People      subject.Store
	Native      Native
	Apps        truecaller.Apps
	Addr        endpoint.ClientAddr
	Tokens      *idtoken.Issuer
	Master      *keys.Master
	GrantPolicy grant.Policy // how long codes and tokens are valid
	// Devices are the requests of devices (RFC 8628), DeviceInterval the time between two
	// of their polls; 0: there are none.
	Devices        grant.DeviceStore
	DeviceInterval time.Duration
	Front          bool // the authorization endpoint gives tokens, too; for discovery
	Signals        bool // clients may be receivers of signals, with a grant of their own
	Failures       endpoint.Failures
	Audit          audit.Recorder
	Steps          endpoint.Steps // may be nil
}

// Endpoint is the token endpoint with userinfo, introspection and revocation.
type Endpoint struct {
	cfg    Config
	policy policy
	grants []grantType // in the order of the discovery document
	polls  *polls      // of devices
}

// grantType is one grant of the token endpoint.
type grantType struct {
	name oidc.GrantType
	// check looks at the parameters before the client authenticates.
	check func(in endpoint.Parameters) error
	// serve makes the token response for an authenticated client.
	serve func(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error)
}

// New returns an Endpoint.
func New(cfg Config) *Endpoint {
	e := &Endpoint{cfg: cfg, policy: policy{people: cfg.People}}
	e.grants = []grantType{
		{name: oidc.GrantTypeCode, check: checkCode, serve: e.redeemCode},
		{name: oidc.GrantTypeRefreshToken, check: checkRefresh, serve: e.refresh},
	}
	if cfg.Apps.AnyNative() {
		e.grants = append(e.grants, grantType{name: oidc.GrantTypeTokenExchange, check: checkExchange, serve: e.exchange})
	}
	if cfg.DeviceInterval > 0 {
		e.polls = newPolls(cfg.DeviceInterval)
		e.grants = append(e.grants, grantType{name: oidc.GrantTypeDeviceCode, check: checkDeviceCode, serve: e.pollDevice})
	}
	if cfg.Signals {
		e.grants = append(e.grants, grantType{name: oidc.GrantTypeClientCredentials, check: checkClientCredentials, serve: e.clientCredentials})
	}
	return e
}

// Mount registers the room's paths.
func (e *Endpoint) Mount(r chi.Router) {
	r.Handle(endpoint.PathToken, e.cfg.Auth.Serve(clientauth.Endpoint{
		Name:  "token endpoint",
		Path:  endpoint.PathToken,
		CORS:  true,
		Check: e.check,
		Serve: e.serve,
	}))
	r.Handle(endpoint.PathRevoke, e.cfg.Auth.Serve(clientauth.Endpoint{
		Name:  "revocation",
		Path:  endpoint.PathRevoke,
		CORS:  true,
		Serve: e.revoke,
	}))
	r.Handle(endpoint.PathIntrospect, e.cfg.Auth.Serve(clientauth.Endpoint{
		Name:         "introspection",
		Path:         endpoint.PathIntrospect,
		Confidential: true,
		Serve:        e.introspect,
	}))
	r.Handle(endpoint.PathUserinfo, e.cfg.Direct.Serve(endpoint.DirectEndpoint{
		Name:    "userinfo",
		Methods: []string{http.MethodGet, http.MethodPost},
		Scheme:  endpoint.Bearer,
		CORS:    true,
		Handle:  e.userinfo,
	}))
}

// Metadata implements endpoint.Describer.
func (e *Endpoint) Metadata() endpoint.Metadata {
	return endpoint.Metadata{
		{Name: "token_endpoint", Value: e.cfg.Issuer + endpoint.PathToken},
		{Name: "token_endpoint_auth_methods_supported", Value: clientauth.All()},
		{Name: "token_endpoint_auth_signing_alg_values_supported", Value: clientauth.Algorithms()},
		{Name: "grant_types_supported", Value: e.grantTypes()},
		{Name: "scopes_supported", Value: e.scopes()},
		{Name: "subject_types_supported", Value: e.cfg.Tokens.SubjectTypes()},
		{Name: "claim_types_supported", Value: []string{"normal"}},
		{Name: "claims_supported", Value: e.claimNames()},
		{Name: "id_token_signing_alg_values_supported", Value: e.cfg.Tokens.SigningAlgorithms()},
		{Name: "id_token_encryption_alg_values_supported", Value: client.EncryptionAlgorithms},
		{Name: "id_token_encryption_enc_values_supported", Value: client.ContentEncryptions},
		{Name: "userinfo_endpoint", Value: e.cfg.Issuer + endpoint.PathUserinfo},
		{Name: "userinfo_signing_alg_values_supported", Value: e.cfg.Tokens.UserinfoAlgorithms()},
		{Name: "userinfo_encryption_alg_values_supported", Value: client.EncryptionAlgorithms},
		{Name: "userinfo_encryption_enc_values_supported", Value: client.ContentEncryptions},
		{Name: "introspection_endpoint", Value: e.cfg.Issuer + endpoint.PathIntrospect},
		{Name: "introspection_endpoint_auth_methods_supported", Value: clientauth.Confidential()},
		{Name: "introspection_endpoint_auth_signing_alg_values_supported", Value: clientauth.Algorithms()},
		{Name: "revocation_endpoint", Value: e.cfg.Issuer + endpoint.PathRevoke},
		{Name: "revocation_endpoint_auth_methods_supported", Value: clientauth.All()},
		{Name: "revocation_endpoint_auth_signing_alg_values_supported", Value: clientauth.Algorithms()},
	}
}

// grantTypes returns those of this endpoint, and what stands for the tokens of the
// authorization endpoint (OpenID Connect Dynamic Client Registration §2).
func (e *Endpoint) grantTypes() []oidc.GrantType {
	names := make([]oidc.GrantType, len(e.grants))
	for i, g := range e.grants {
		names[i] = g.name
	}
	if e.cfg.Front {
		names = append(names, oidc.GrantTypeImplicit)
	}
	return names
}

func (e *Endpoint) scopes() []string {
	if e.cfg.Signals {
		return slices.Concat(claims.Scopes, signals.Scopes)
	}
	return claims.Scopes
}

func (e *Endpoint) claimNames() []string {
	names := slices.Clone(idtoken.ClaimNames)
	if e.cfg.Front {
		names = append(names, idtoken.FrontClaimNames...)
	}
	return append(names, claims.Names...)
}

// requested returns the grant that a request uses.
func (e *Endpoint) requested(in endpoint.Parameters) (grantType, error) {
	name := oidc.GrantType(in.Get("grant_type"))
	if name == "" {
		return grantType{}, endpoint.InvalidRequest("grant_type is missing")
	}
	var names []string
	for _, g := range e.grants {
		if g.name == name {
			return g, nil
		}
		names = append(names, string(g.name))
	}
	return grantType{}, oidc.ErrUnsupportedGrantType().WithDescription("grant_type is not one of %s", strings.Join(names, ", "))
}

func (e *Endpoint) check(in endpoint.Parameters) error {
	g, err := e.requested(in)
	if err != nil {
		return err
	}
	if in.Has("resource") { // RFC 8707 §2.2, RFC 8693 §2.1
		return oidc.ErrInvalidTarget().WithDescription("resource is not supported: tokens are for the requesting client")
	}
	return g.check(in)
}

func (e *Endpoint) serve(r *http.Request, c client.Client, in endpoint.Parameters) (any, error) {
	g, err := e.requested(in)
	if err != nil {
		return nil, err
	}
	return g.serve(r, c, in)
}

// mac authenticates refresh tokens.
func (e *Endpoint) mac(parts ...[]byte) [32]byte {
	return e.cfg.Master.MAC(keys.PurposeRefreshToken, parts...)
}

// invalidGrant refuses a code or refresh token. The client gets one sentence (RFC
// 6749 §5.2), the log which of its parts is true; a second use is audited.
func (e *Endpoint) invalidGrant(ctx context.Context, kind, description string, why error, clientID string, g grant.Grant) error {
	if errors.Is(why, grant.ErrReused) {
		e.cfg.Audit.Record(ctx, audit.Event{
			Name:    audit.GrantReused,
			Kind:    kind,
			Client:  clientID,
			Grant:   g.ID,
			Reason:  why.Error(),
			Subject: g.Sub,
		})
	} else {
		e.cfg.Failures.Log.LogAttrs(ctx, slog.LevelInfo, "grant refused",
			slog.String("kind", kind),
			slog.String("client", clientID),
			slog.String("grant", g.ID),
			slog.Any("reason", why))
	}
	return oidc.ErrInvalidGrant().WithDescription("%s", description)
}
