// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/redact"
)

// Client is an application (RFC 7591).
type Client struct {
	// ID is its client_id. Required.
	ID string `yaml:"client_id"`
	// Name is the name that users see. Required.
	Name string `yaml:"name"`
	// SecretFile is the file with its client_secret: at least 32 printable ASCII
	// characters, for example from `openssl rand -hex 32`. Required for a
	// confidential client.
	SecretFile string `yaml:"secret_file"`
	// Secret is the client_secret itself; only `calleridp dev` accepts it.
	Secret redact.Text `yaml:"secret" secret:"dev"`
	// Public marks a client that cannot keep a secret: a browser or phone
	// application.
	Public bool `yaml:"public"`
	// AuthMethod is how a confidential client authenticates: client_secret_basic,
	// client_secret_post, client_secret_jwt or private_key_jwt. Default its secret, in the
	// header or in the body.
	AuthMethod string `yaml:"token_endpoint_auth_method"`
	// AuthAlg is the algorithm of its assertions, with client_secret_jwt (HS256, HS384,
	// HS512) or private_key_jwt (RS, PS or ES with 256, 384 or 512; EdDSA). Default any.
	AuthAlg string `yaml:"token_endpoint_auth_signing_alg"`
	// JWKSFile is the file with its public keys, a JWK set, for private_key_jwt and for
	// what is encrypted to it.
	JWKSFile string `yaml:"jwks_file"`
	// JWKSURI is the https address where it publishes them instead. Must be public, or in
	// client_networks.
	JWKSURI string `yaml:"jwks_uri"`
	// Native marks an Android application with Truecaller's SDK, which brings the
	// SDK's codes to the token endpoint (token exchange, RFC 8693). Its Truecaller app
	// must have the method native.
	Native bool `yaml:"native"`
	// RedirectURIs are the allowed redirect URIs; matched exactly, except that an
	// empty path is the same as "/". Required, unless the client is native or has
	// device_flow: such a client needs them only for sign-in in its own browser.
	RedirectURIs []string `yaml:"redirect_uris"`
	// PostLogoutRedirectURIs are the allowed redirect URIs after signing out; matched
	// exactly.
	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris"`
	// FrontChannelLogoutURI is an address of its pages that ends their session: the page
	// after signing out has it in a frame, if the client took part in the session. It has
	// the scheme, host and port of a redirect URI.
	FrontChannelLogoutURI string `yaml:"frontchannel_logout_uri"`
	// FrontChannelLogoutSessionRequired adds iss and sid to the query of that address.
	FrontChannelLogoutSessionRequired bool `yaml:"frontchannel_logout_session_required"`
	// BackchannelLogoutURI is the https address that gets a logout token when a session
	// of a user ends (OpenID Connect Back-Channel Logout). Must be public, or in
	// client_networks. A confidential client may have http on loopback.
	BackchannelLogoutURI string `yaml:"backchannel_logout_uri"`
	// BackchannelLogoutSessionRequired says that the client needs a sid in its logout
	// tokens.
	BackchannelLogoutSessionRequired bool `yaml:"backchannel_logout_session_required"`
	// AllowedOrigins are the origins of browser applications that may call the token
	// endpoint and userinfo (CORS), like https://app.example.com, capacitor://localhost
	// or chrome-extension://ID. Default, for a public client, those of its https and
	// loopback redirect URIs.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// Scopes are the scopes that it may request: openid, profile, email, phone,
	// address, truecaller, offline_access. Default all.
	Scopes []string `yaml:"scopes"`
	// DefaultScopes are the scopes of an authorization request without any; openid must
	// be among them. If unset, such a request is refused.
	DefaultScopes []string `yaml:"default_scopes"`
	// ResponseTypes are the response types that it may use, of those that the deployment
	// has turned on. Default [code].
	ResponseTypes []string `yaml:"response_types"`
	// IDTokenAlg is the algorithm that signs its ID tokens, one of keys.algorithms. Default
	// RS256. With keys.dangerously_unsigned_id_tokens it may be none.
	IDTokenAlg string `yaml:"id_token_signed_response_alg"`
	// IDTokenEncryptionAlg says that its ID tokens are also encrypted, and how the key is
	// wrapped or agreed: RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW. Its key
	// is one of jwks_file or jwks_uri. Default not encrypted.
	IDTokenEncryptionAlg string `yaml:"id_token_encrypted_response_alg"`
	// IDTokenEncryptionEnc is how the content is encrypted: A128CBC-HS256 (default),
	// A256CBC-HS512, A128GCM or A256GCM.
	IDTokenEncryptionEnc string `yaml:"id_token_encrypted_response_enc"`
	// UserinfoAlg is the algorithm that signs its userinfo, one of keys.algorithms. Default
	// JSON, without a signature.
	UserinfoAlg string `yaml:"userinfo_signed_response_alg"`
	// UserinfoEncryptionAlg says that its userinfo is encrypted, like
	// id_token_encrypted_response_alg. Default not encrypted.
	UserinfoEncryptionAlg string `yaml:"userinfo_encrypted_response_alg"`
	// UserinfoEncryptionEnc is how the content is encrypted, like
	// id_token_encrypted_response_enc. Default A128CBC-HS256.
	UserinfoEncryptionEnc string `yaml:"userinfo_encrypted_response_enc"`
	// RequestObjectAlg is the algorithm that all its request objects must be signed with:
	// RS, PS or ES with 256, 384 or 512, or EdDSA, which need jwks_file or jwks_uri; HS256,
	// HS384 or HS512 with client_secret_jwt; none. Default any that its keys allow.
	RequestObjectAlg string `yaml:"request_object_signing_alg"`
	// RequireSignedRequestObject refuses its authorization requests without a signed
	// request object.
	RequireSignedRequestObject bool `yaml:"require_signed_request_object"`
	// RequestURIs are the https addresses where it publishes request objects, matched
	// exactly; one without a fragment is allowed with any. Must be public, or in
	// client_networks.
	RequestURIs []string `yaml:"request_uris"`
	// SubjectType is public (default) or pairwise: a different sub for each sector.
	SubjectType string `yaml:"subject_type"`
	// SectorHost is the sector of a pairwise client whose redirect URIs have several
	// hosts.
	SectorHost string `yaml:"sector_host"`
	// TruecallerApp is the id of the Truecaller app through which its users sign in.
	// Default the one in truecaller.
	TruecallerApp string `yaml:"truecaller_app"`
	// Consent decides when users see a consent prompt: none (default), for your own
	// applications; remember, which prompts once and again when the client requests
	// more; always. A request with prompt=consent always prompts.
	Consent string `yaml:"consent"`
	// ScopeClaims is where it gets the claims of its scopes: both (default), in ID tokens
	// and from userinfo, because many libraries read the ID token only; id_token; or
	// userinfo, as OpenID Connect Core 5.4 has it.
	ScopeClaims string `yaml:"scope_claims"`
	// DeviceFlow lets its devices sign users in that have no browser (RFC 8628), if
	// device_flow.enabled does. Such a client needs no redirect_uris.
	DeviceFlow bool `yaml:"device_flow"`
	// Signals lets it have a stream of events about its users, if signals.enabled does: see
	// docs/signals.md. It must be confidential.
	Signals bool `yaml:"signals"`
	// InitiateLoginURI is its page where a sign-in begins (https, OpenID Connect Core
	// section 4). The account page and the pages of expired requests lead there, with iss.
	InitiateLoginURI string `yaml:"initiate_login_uri"`
	// Region overrides default_region.
	Region string `yaml:"region"`
	// Countries override those of the deployment.
	Countries []string `yaml:"countries"`
	// DefaultMaxAge is the max_age of requests that name none: this client refuses an
	// older sign-in. If unset, no sign-in is too old.
	DefaultMaxAge Duration `yaml:"default_max_age"`
	// DefaultACRValues are the acr that its authorization requests prefer if they name none, the
	// best first: urn:calleridp:acr:push, urn:calleridp:acr:onetap.
	DefaultACRValues []string `yaml:"default_acr_values"`
	// LogoURI is its logo (https): PNG, JPEG or GIF, at most 128 KiB. The server fetches it,
	// from a public address or one in client_networks, and shows a copy of its own. Users
	// see it, like the next three.
	LogoURI string `yaml:"logo_uri"`
	// URI is its home page.
	URI string `yaml:"client_uri"`
	// TOSURI is its terms of service.
	TOSURI string `yaml:"tos_uri"`
	// PolicyURI is its privacy policy.
	PolicyURI string `yaml:"policy_uri"`
	// Colour is the accent colour of the pages that users see on the way to it, like
	// "#0066cc"; refused if its contrast is too low to read. Default that of ui.
	Colour string `yaml:"colour"`
	// ColourDark is the accent colour in the dark theme. Default derived from colour.
	ColourDark string `yaml:"colour_dark"`
	// DangerouslyWithoutPKCE exempts an old confidential client from PKCE. An
	// attacker can use codes that are stolen on their way to it.
	DangerouslyWithoutPKCE bool `yaml:"dangerously_without_pkce"`
}

// clientKeys are the keys of those fields of a client that have another name here.
var clientKeys = map[string]string{
	"id":           "client_id",
	"secret":       "secret_file",
	"without_pkce": "dangerously_without_pkce",
	"jwks":         "jwks_file",
}

func (d *decoder) checkClients(all []Client, here client.Deployment) []client.Client {
	var clients []client.Client
	first := map[string]string{}
	for i, c := range all {
		key := fmt.Sprintf("clients[%d]", i)
		if d.clientKeys != nil {
			key = d.clientKeys[i]
		}
		if before, twice := first[c.ID]; twice && c.ID != "" {
			d.refuse(key+".client_id", "%q is already declared in %s", c.ID, before)
		} else {
			first[c.ID] = key
		}
		out := d.checkClient(key, c)
		d.refuseFields(key, client.ValidateFor(out, here), clientKeys)
		d.refuseFields(key, client.Validate(out), clientKeys)
		clients = append(clients, out)
	}
	return clients
}

// checkClient checks what only this file can say wrongly; package client validates
// the rest.
func (d *decoder) checkClient(key string, c Client) client.Client {
	out := client.Client{
		ID:                     c.ID,
		Name:                   c.Name,
		LogoURI:                c.LogoURI,
		URI:                    c.URI,
		TOSURI:                 c.TOSURI,
		PolicyURI:              c.PolicyURI,
		Colour:                 c.Colour,
		ColourDark:             c.ColourDark,
		Public:                 c.Public,
		AuthMethod:             client.AuthMethod(c.AuthMethod),
		AuthAlg:                c.AuthAlg,
		KeysURI:                c.JWKSURI,
		Native:                 c.Native,
		RedirectURIs:           c.RedirectURIs,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		AllowedOrigins:         c.AllowedOrigins,
		Scopes:                 c.Scopes,
		DefaultScopes:          c.DefaultScopes,
		DefaultACRValues:       c.DefaultACRValues,
		ResponseTypes:          client.ParseResponseTypes(c.ResponseTypes),
		WithoutPKCE:            c.DangerouslyWithoutPKCE,
		IDTokenAlg:             c.IDTokenAlg,
		Responses: client.ResponseMetadata{
			IDTokenEncryptionAlg:  c.IDTokenEncryptionAlg,
			IDTokenEncryptionEnc:  c.IDTokenEncryptionEnc,
			UserinfoAlg:           c.UserinfoAlg,
			UserinfoEncryptionAlg: c.UserinfoEncryptionAlg,
			UserinfoEncryptionEnc: c.UserinfoEncryptionEnc,
		}.Responses(),
		Pairwise:         c.SubjectType == "pairwise",
		SectorHost:       c.SectorHost,
		DeviceFlow:       c.DeviceFlow,
		Signals:          c.Signals,
		InitiateLoginURI: c.InitiateLoginURI,
		Region:           c.Region,
		Countries:        c.Countries,
		TruecallerApp:    c.TruecallerApp,
		RequestObjects:   client.RequestObjects{Alg: c.RequestObjectAlg, Required: c.RequireSignedRequestObject, URIs: c.RequestURIs},
		FrontChannel:     client.FrontChannel{LogoutURI: c.FrontChannelLogoutURI, SessionRequired: c.FrontChannelLogoutSessionRequired},
		BackChannel: client.BackChannel{
			LogoutURI:       c.BackchannelLogoutURI,
			SessionRequired: c.BackchannelLogoutSessionRequired,
		},
	}
	if c.Name == "" {
		d.refuse(key+".name", "missing; users see it when they sign in")
	}
	if c.DefaultMaxAge > 0 {
		age := time.Duration(c.DefaultMaxAge)
		out.DefaultMaxAge = &age
	}
	switch c.SubjectType {
	case "", "public", "pairwise":
	default:
		d.refuse(key+".subject_type", "%q is unknown; use public or pairwise", c.SubjectType)
	}
	if consent, ok := client.ParseConsent(c.Consent); ok {
		out.Consent = consent
	} else {
		d.refuse(key+".consent", "%q is unknown; use none, remember or always", c.Consent)
	}
	if where, ok := client.ParseScopeClaims(c.ScopeClaims); ok {
		out.ScopeClaims = where
	} else {
		d.refuse(key+".scope_claims", "%q is unknown; use both, id_token or userinfo", c.ScopeClaims)
	}
	secret := strings.TrimSpace(string(c.Secret))
	switch {
	case c.SecretFile != "":
		secret = d.checkSecretFile(key+".secret_file", c.SecretFile)
		if reason := checkClientSecret(secret); secret != "" && reason != "" {
			d.refuse(key+".secret_file", "%s %s", c.SecretFile, reason)
			secret = ""
		}
		if secret == "" {
			secret = unread
		}
	case d.failed(key + ".secret"):
		secret = unread
	}
	if secret != "" {
		out.AddSecret(secret)
	}
	if c.JWKSFile != "" {
		set, err := os.ReadFile(c.JWKSFile)
		switch {
		case err != nil:
			d.refuse(key+".jwks_file", "%s", fileReason(c.JWKSFile, err))
			out.KeysURI = "https://unread.invalid" // so that nothing else is said of it
		default:
			out.Keys = string(set)
		}
	}
	return out
}

// checkClientSecret returns why a client's secret is refused, "" if it is not (RFC
// 6749 §10.10, appendix A.2). Its length is all that can be checked: 32 hexadecimal
// digits of a generator have the 128 bits that nobody guesses, and are stored as a
// fast hash.
func checkClientSecret(text string) (reason string) {
	strange := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	if len(text) < 32 || strange {
		return "has a secret that is too weak: it must be at least 32 printable ASCII characters; create one with openssl rand -hex 32"
	}
	return ""
}
