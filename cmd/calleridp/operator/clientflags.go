// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// clientFlags are the flags that say what a client is.
type clientFlags struct {
	c                admin.Client
	scopes, defaults []string
	maxAge           time.Duration
	pairwise         bool
	jwks             string
}

// client returns the client that the flags describe. It reads the file of --jwks-file.
func (f *clientFlags) client() (admin.Client, error) {
	c := f.c
	if f.jwks != "" {
		set, err := os.ReadFile(f.jwks)
		if err != nil {
			return c, fmt.Errorf("--jwks-file: %w", err)
		}
		if !json.Valid(set) {
			return c, fmt.Errorf("--jwks-file: %s is not JSON; it must be a JWK set (RFC 7517 section 5)", f.jwks)
		}
		c.Keys = set
	}
	c.Scope, c.DefaultScope = strings.Join(f.scopes, " "), strings.Join(f.defaults, " ")
	c.SubjectType = ""
	if f.pairwise {
		c.SubjectType = "pairwise"
	}
	switch {
	case f.maxAge > 0:
		seconds := int64(f.maxAge / time.Second)
		c.DefaultMaxAge = &seconds
	case c.DefaultMaxAge != nil && *c.DefaultMaxAge > 0:
		c.DefaultMaxAge = nil // 0 is a value, which no flag sets
	}
	return c, nil
}

// fill sets what the flags describe to a client, after define.
func (f *clientFlags) fill(c admin.Client) {
	f.c = c
	f.scopes, f.defaults = strings.Fields(c.Scope), strings.Fields(c.DefaultScope)
	f.pairwise = c.SubjectType == "pairwise"
	if c.DefaultMaxAge != nil {
		f.maxAge = time.Duration(*c.DefaultMaxAge) * time.Second
	}
}

// define adds the flags to a command.
func (f *clientFlags) define(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.c.Name, "name", "", "`name` that users see")
	set.StringArrayVar(&f.c.RedirectURIs, "redirect-uri", nil, "allowed redirect `uri`, matched exactly; may be repeated")
	set.BoolVar(&f.c.Public, "public", false, "the client cannot keep a secret: a browser or phone application")
	set.StringVar(&f.c.AuthMethod, "auth-method", "", "`method` by which the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt; default its secret, in the header or in the body")
	set.StringVar(&f.c.AuthAlg, "auth-alg", "", "`algorithm` of its client assertions; default any")
	set.StringVar(&f.jwks, "jwks-file", "", "`file` with its public keys, a JWK set, for private_key_jwt")
	set.StringVar(&f.c.KeysURI, "jwks-uri", "", "https `url` where it publishes them instead")
	set.BoolVar(&f.c.Native, "native", false, "the client is an Android application with Truecaller's SDK, which brings the SDK's codes to the token endpoint")
	set.StringArrayVar(&f.c.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "allowed redirect `uri` after signing out, matched exactly; may be repeated")
	set.StringVar(&f.c.FrontChannelLogoutURI, "frontchannel-logout-uri", "", "`uri` of the client that a frame shows when a session has ended that it took part in")
	set.BoolVar(&f.c.FrontChannelSession, "frontchannel-logout-session-required", false, "add the issuer and the session's ID to it")
	set.StringVar(&f.c.BackchannelURI, "backchannel-logout-uri", "", "https `url` that gets a logout token when a session of a user ends")
	set.BoolVar(&f.c.BackchannelSession, "backchannel-logout-session-required", false, "the client needs a sid in its logout tokens")
	set.StringArrayVar(&f.c.AllowedOrigins, "origin", nil, "browser `origin` that may call the token endpoint and userinfo; may be repeated; default, for a public client, those of its redirect URIs")
	set.StringArrayVar(&f.scopes, "scope", nil, "`scope` that the client may request; may be repeated; default all")
	set.StringArrayVar(&f.defaults, "default-scope", nil, "`scope` of requests without any; may be repeated; default none: they are refused")
	set.StringArrayVar(&f.c.ResponseTypes, "response-type", nil, "response `type` that its requests may ask for, like code or \"code id_token\"; may be repeated; default code; response_types of the configuration turns them on")
	set.StringArrayVar(&f.c.DefaultACR, "default-acr", nil, "`acr` that its requests prefer if they name none, like urn:calleridp:acr:push, the best first; may be repeated")
	set.StringVar(&f.c.IDTokenAlg, "alg", "", "`algorithm` of its ID tokens, one of keys.algorithms in the configuration; default RS256")
	set.StringVar(&f.c.IDTokenEncryptionAlg, "id-token-encryption-alg", "", "`algorithm` by which its ID tokens are encrypted to a key of its JWK set: RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW; default none")
	set.StringVar(&f.c.IDTokenEncryptionEnc, "id-token-encryption-enc", "", "content `encryption` of its ID tokens: A128CBC-HS256 (default), A256CBC-HS512, A128GCM or A256GCM")
	set.StringVar(&f.c.UserinfoAlg, "userinfo-alg", "", "`algorithm` that signs its userinfo; default none: JSON")
	set.StringVar(&f.c.UserinfoEncryptionAlg, "userinfo-encryption-alg", "", "`algorithm` by which its userinfo is encrypted, like --id-token-encryption-alg")
	set.StringVar(&f.c.UserinfoEncryptionEnc, "userinfo-encryption-enc", "", "content `encryption` of its userinfo, like --id-token-encryption-enc")
	set.StringVar(&f.c.RequestObjectAlg, "request-object-alg", "", "`algorithm` that its request objects are signed with; default any that its keys allow")
	set.BoolVar(&f.c.SignedRequests, "require-signed-request-object", false, "refuse its authorization requests without a signed request object")
	set.StringArrayVar(&f.c.RequestURIs, "request-uri", nil, "https `uri` where it publishes a request object; may be repeated")
	set.BoolVar(&f.pairwise, "pairwise", false, "give the client its own subs")
	set.StringVar(&f.c.SectorHost, "sector-host", "", "`host` whose clients share pairwise subs; default that of the redirect URIs")
	command.Choice(cmd, &f.c.Consent, "consent", "", "none", "`when` users see a consent prompt: none, remember (once, and when it requests more) or always", "none", "remember", "always")
	command.Choice(cmd, &f.c.ScopeClaims, "scope-claims", "", "both", "`where` it gets the claims of its scopes: both (ID tokens and userinfo), id_token or userinfo", "both", "id_token", "userinfo")
	set.BoolVar(&f.c.DeviceFlow, "device-flow", false, "its devices sign users in that have no browser (RFC 8628); device_flow.enabled of the configuration turns it on")
	set.BoolVar(&f.c.Signals, "signals", false, "it may have a stream of events about its users (Shared Signals Framework); signals.enabled of the configuration turns them on")
	set.StringVar(&f.c.InitiateLoginURI, "initiate-login-uri", "", "https `url` where a sign-in begins at the client")
	set.StringVar(&f.c.Region, "region", "", "`country` of national phone numbers, like IN; default the deployment's")
	set.StringArrayVar(&f.c.Countries, "country", nil, "`country` listed first, like IN; may be repeated; default the deployment's")
	set.StringVar(&f.c.TruecallerApp, "truecaller-app", "", "`id` of the Truecaller app through which its users sign in; default that of truecaller in the configuration")
	set.DurationVar(&f.maxAge, "default-max-age", 0, "`max_age`, like 1h, of requests that name none")
	set.StringVar(&f.c.URI, "uri", "", "`url` of its home page")
	set.StringVar(&f.c.LogoURI, "logo-uri", "", "`url` of its logo")
	set.StringVar(&f.c.TOSURI, "tos-uri", "", "`url` of its terms of service")
	set.StringVar(&f.c.Colour, "colour", "", "accent `colour` of the pages on the way to it, like #0066cc")
	set.StringVar(&f.c.ColourDark, "colour-dark", "", "accent `colour` in the dark theme; default derived from --colour")
	set.StringVar(&f.c.PolicyURI, "policy-uri", "", "`url` of its privacy policy")
	set.BoolVar(&f.c.WithoutPKCE, "dangerously-without-pkce", false, "exempt an old confidential client from PKCE; an attacker can use codes that are stolen on their way to it")
}
