package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

var clients = collection[admin.Client]{"CLIENT_ID", "/v1/clients/", completeClient}

// Client returns the command `calleridp client`.
func Client() *cobra.Command {
	return command.Group(command.Text{Use: "client", Short: "manage the applications that may sign users in"},
		clientAdd(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the applications",
			Example: "calleridp client list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/clients", nil, writeClients)
		}),
		clientShow(),
		clientRotateSecret(),
		clients.command(command.Text{
			Use:     "remove",
			Short:   "remove an application and revoke its tokens",
			Example: "calleridp client remove shop",
		}, http.MethodDelete, "", writeRemovedClient),
	)
}

func clientShow() *cobra.Command {
	var settings *string
	c := newCommand(command.Text{
		Use:   "show CLIENT_ID",
		Short: "show an application, or the settings of a product that is the application",
		Example: `calleridp client show shop
calleridp client show wiki --settings oauth2-proxy`,
	}, func(ctx context.Context, r request, args []string) error {
		var c admin.Client
		if err := r.call(ctx, http.MethodGet, clients.path+url.PathEscape(args[0]), nil, &c); err != nil {
			return err
		}
		return printClient(ctx, r, c, *settings, "")
	})
	settings = settingsFlag(c)
	c.ValidArgsFunction = completeClient
	return c
}

func clientRotateSecret() *cobra.Command {
	var settings, file *string
	c := newCommand(command.Text{
		Use:   "rotate-secret CLIENT_ID",
		Short: "give an application a new secret, shown once; the previous one stays valid until the next rotation",
		Example: `calleridp client rotate-secret shop
calleridp client rotate-secret shop --secret-file /etc/shop/client.secret`,
	}, func(ctx context.Context, r request, args []string) error {
		path := clients.path + url.PathEscape(args[0])
		if *settings != "" { // a client that does not suit keeps its secret
			var c admin.Client
			if err := r.call(ctx, http.MethodGet, path, nil, &c); err != nil {
				return err
			}
			if err := checkSettings(r, *settings, c); err != nil {
				return err
			}
		}
		return withSecret(ctx, r, path+"/secret", nil, *settings, *file, true)
	})
	settings = settingsFlag(c)
	file = secretFlag(c, "a file that exists is replaced")
	c.ValidArgsFunction = completeClient
	return c
}

// withSecret makes a request whose response has a client with a new secret, and prints it.
// The secret goes to file, if that is not empty, else to the output.
func withSecret(ctx context.Context, r request, path string, in any, settings, file string, replace bool) error {
	secret, err := openSecretFile(file, replace)
	if err != nil {
		return err
	}
	defer secret.close()
	var c admin.Client
	if err := r.call(ctx, http.MethodPost, path, in, &c); err != nil {
		return err
	}
	if file != "" && c.Secret != "" {
		if err := secret.write(c.Secret); err != nil {
			return err
		}
		c.Secret = ""
		fmt.Fprintf(r.errOut, "The secret is in %s, readable by this user only.\n", secret.path)
	}
	return printClient(ctx, r, c, settings, secret.path)
}

// printClient prints a client, or the settings of a product for it.
func printClient(ctx context.Context, r request, c admin.Client, settings, secretFile string) error {
	if settings == "" {
		return printResponse(r, c, writeClient)
	}
	if err := checkSettings(r, settings, c); err != nil {
		return err
	}
	return printSettings(ctx, r, settings, c, secretFile)
}

func clientAdd() *cobra.Command {
	var c admin.Client
	var scopes, defaults []string
	var maxAge time.Duration
	var pairwise bool
	var jwks string
	var settings, file *string
	cmd := newCommand(command.Text{
		Use:   "add",
		Short: "register an application; its secret is shown once",
		Example: `calleridp client add --name 'My shop' --redirect-uri https://shop.example.com/callback
calleridp client add --name Wiki --redirect-uri https://wiki.example.com/oauth2/callback --settings oauth2-proxy`,
	}, func(ctx context.Context, r request, _ []string) error {
		switch {
		case c.Name == "":
			return command.Usagef("missing --name NAME; users see it when they sign in")
		case c.Public && *file != "":
			return command.Usagef("--secret-file %s: a public client has no secret; leave it or --public out", *file)
		case len(c.RedirectURIs) == 0 && !c.Native && !c.DeviceFlow:
			return command.Usagef("missing --redirect-uri URI; the application's documentation names it")
		}
		if jwks != "" {
			set, err := os.ReadFile(jwks)
			if err != nil {
				return fmt.Errorf("--jwks-file: %w", err)
			}
			if !json.Valid(set) {
				return fmt.Errorf("--jwks-file: %s is not JSON; it must be a JWK set (RFC 7517 section 5)", jwks)
			}
			c.Keys = set
		}
		c.Scope, c.DefaultScope = strings.Join(scopes, " "), strings.Join(defaults, " ")
		if pairwise {
			c.SubjectType = "pairwise"
		}
		if maxAge > 0 {
			seconds := int64(maxAge / time.Second)
			c.DefaultMaxAge = &seconds
		}
		if err := checkSettings(r, *settings, c); err != nil {
			return err
		}
		return withSecret(ctx, r, "/v1/clients", c, *settings, *file, false)
	})
	settings = settingsFlag(cmd)
	file = secretFlag(cmd, "it must not exist")
	f := cmd.Flags()
	f.StringVar(&c.ID, "id", "", "`client_id`; default a random one")
	f.StringVar(&c.Name, "name", "", "`name` that users see")
	f.StringArrayVar(&c.RedirectURIs, "redirect-uri", nil, "allowed redirect `uri`, matched exactly; may be repeated")
	f.BoolVar(&c.Public, "public", false, "the client cannot keep a secret: a browser or phone application")
	f.StringVar(&c.AuthMethod, "auth-method", "", "`method` by which the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt; default its secret, in the header or in the body")
	f.StringVar(&c.AuthAlg, "auth-alg", "", "`algorithm` of its client assertions; default any")
	f.StringVar(&jwks, "jwks-file", "", "`file` with its public keys, a JWK set, for private_key_jwt")
	f.StringVar(&c.KeysURI, "jwks-uri", "", "https `url` where it publishes them instead")
	f.BoolVar(&c.Native, "native", false, "the client is an Android application with Truecaller's SDK, which brings the SDK's codes to the token endpoint")
	f.StringArrayVar(&c.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "allowed redirect `uri` after signing out, matched exactly; may be repeated")
	f.StringVar(&c.FrontChannelLogoutURI, "frontchannel-logout-uri", "", "`uri` of the client that a frame shows when a session has ended that it took part in")
	f.BoolVar(&c.FrontChannelSession, "frontchannel-logout-session-required", false, "add the issuer and the session's ID to it")
	f.StringVar(&c.BackchannelURI, "backchannel-logout-uri", "", "https `url` that gets a logout token when a session of a user ends")
	f.BoolVar(&c.BackchannelSession, "backchannel-logout-session-required", false, "the client needs a sid in its logout tokens")
	f.StringArrayVar(&c.AllowedOrigins, "origin", nil, "browser `origin` that may call the token endpoint and userinfo; may be repeated; default, for a public client, those of its redirect URIs")
	f.StringArrayVar(&scopes, "scope", nil, "`scope` that the client may request; may be repeated; default all")
	f.StringArrayVar(&defaults, "default-scope", nil, "`scope` of requests without any; may be repeated; default none: they are refused")
	f.StringArrayVar(&c.ResponseTypes, "response-type", nil, "response `type` that its requests may ask for, like code or \"code id_token\"; may be repeated; default code; response_types of the configuration turns them on")
	f.StringArrayVar(&c.DefaultACR, "default-acr", nil, "`acr` that its requests prefer if they name none, like urn:calleridp:acr:push, the best first; may be repeated")
	f.StringVar(&c.IDTokenAlg, "alg", "", "`algorithm` of its ID tokens, one of keys.algorithms in the configuration; default RS256")
	f.StringVar(&c.IDTokenEncryptionAlg, "id-token-encryption-alg", "", "`algorithm` by which its ID tokens are encrypted to a key of its JWK set: RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW; default none")
	f.StringVar(&c.IDTokenEncryptionEnc, "id-token-encryption-enc", "", "content `encryption` of its ID tokens: A128CBC-HS256 (default), A256CBC-HS512, A128GCM or A256GCM")
	f.StringVar(&c.UserinfoAlg, "userinfo-alg", "", "`algorithm` that signs its userinfo; default none: JSON")
	f.StringVar(&c.UserinfoEncryptionAlg, "userinfo-encryption-alg", "", "`algorithm` by which its userinfo is encrypted, like --id-token-encryption-alg")
	f.StringVar(&c.UserinfoEncryptionEnc, "userinfo-encryption-enc", "", "content `encryption` of its userinfo, like --id-token-encryption-enc")
	f.StringVar(&c.RequestObjectAlg, "request-object-alg", "", "`algorithm` that its request objects are signed with; default any that its keys allow")
	f.BoolVar(&c.SignedRequests, "require-signed-request-object", false, "refuse its authorization requests without a signed request object")
	f.StringArrayVar(&c.RequestURIs, "request-uri", nil, "https `uri` where it publishes a request object; may be repeated")
	f.BoolVar(&pairwise, "pairwise", false, "give the client its own subs")
	f.StringVar(&c.SectorHost, "sector-host", "", "`host` whose clients share pairwise subs; default that of the redirect URIs")
	command.Choice(cmd, &c.Consent, "consent", "", "none", "`when` users see a consent prompt: none, remember (once, and when it requests more) or always", "none", "remember", "always")
	command.Choice(cmd, &c.ScopeClaims, "scope-claims", "", "both", "`where` it gets the claims of its scopes: both (ID tokens and userinfo), id_token or userinfo", "both", "id_token", "userinfo")
	f.BoolVar(&c.DeviceFlow, "device-flow", false, "its devices sign users in that have no browser (RFC 8628); device_flow.enabled of the configuration turns it on")
	f.StringVar(&c.InitiateLoginURI, "initiate-login-uri", "", "https `url` where a sign-in begins at the client")
	f.StringVar(&c.Region, "region", "", "`country` of national phone numbers, like IN; default the deployment's")
	f.StringArrayVar(&c.Countries, "country", nil, "`country` listed first, like IN; may be repeated; default the deployment's")
	f.StringVar(&c.TruecallerApp, "truecaller-app", "", "`id` of the Truecaller app through which its users sign in; default that of truecaller in the configuration")
	f.DurationVar(&maxAge, "default-max-age", 0, "`max_age`, like 1h, of requests that name none")
	f.StringVar(&c.URI, "uri", "", "`url` of its home page")
	f.StringVar(&c.LogoURI, "logo-uri", "", "`url` of its logo")
	f.StringVar(&c.TOSURI, "tos-uri", "", "`url` of its terms of service")
	f.StringVar(&c.Colour, "colour", "", "accent `colour` of the pages on the way to it, like #0066cc")
	f.StringVar(&c.ColourDark, "colour-dark", "", "accent `colour` in the dark theme; default derived from --colour")
	f.StringVar(&c.PolicyURI, "policy-uri", "", "`url` of its privacy policy")
	f.BoolVar(&c.WithoutPKCE, "dangerously-without-pkce", false, "exempt an old confidential client from PKCE; an attacker can use codes that are stolen on their way to it")
	return cmd
}

func writeClients(out io.Writer, all []admin.Client) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT ID\tNAME\tKIND\tFROM")
		for _, c := range all {
			from := "client add"
			switch {
			case c.FromConfig:
				from = "configuration file"
			case c.Registered:
				from = "registration"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kindOf(c), from)
		}
	})
}

func writeRemovedClient(out io.Writer, c admin.Client) error {
	_, err := fmt.Fprintf(out, "client %s (%s) is removed; its tokens are revoked\n", c.ID, c.Name)
	return err
}

func kindOf(c admin.Client) string {
	if c.Public {
		return "public"
	}
	return "confidential"
}

func writeClient(out io.Writer, c admin.Client) error {
	flag := func(set bool) string {
		if set {
			return "true"
		}
		return ""
	}
	maxAge := ""
	if c.DefaultMaxAge != nil {
		maxAge = strconv.FormatInt(*c.DefaultMaxAge, 10)
	}
	err := table(out, func(w io.Writer) {
		for _, row := range [][2]string{
			{"client_id", c.ID},
			{"client_secret", c.Secret},
			{"name", c.Name},
			{"kind", kindOf(c)},
			{"token_endpoint_auth_method", c.AuthMethod},
			{"token_endpoint_auth_signing_alg", c.AuthAlg},
			{"jwks", string(c.Keys)},
			{"jwks_uri", c.KeysURI},
			{"native", flag(c.Native)},
			{"redirect_uris", strings.Join(c.RedirectURIs, " ")},
			{"post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, " ")},
			{"frontchannel_logout_uri", c.FrontChannelLogoutURI},
			{"frontchannel_logout_session_required", flag(c.FrontChannelSession)},
			{"backchannel_logout_uri", c.BackchannelURI},
			{"backchannel_logout_session_required", flag(c.BackchannelSession)},
			{"allowed_origins", strings.Join(c.AllowedOrigins, " ")},
			{"response_types", strings.Join(c.ResponseTypes, ", ")},
			{"scope", c.Scope},
			{"default_scope", c.DefaultScope},
			{"id_token_signed_response_alg", c.IDTokenAlg},
			{"id_token_encrypted_response_alg", c.IDTokenEncryptionAlg},
			{"id_token_encrypted_response_enc", c.IDTokenEncryptionEnc},
			{"userinfo_signed_response_alg", c.UserinfoAlg},
			{"userinfo_encrypted_response_alg", c.UserinfoEncryptionAlg},
			{"userinfo_encrypted_response_enc", c.UserinfoEncryptionEnc},
			{"request_object_signing_alg", c.RequestObjectAlg},
			{"require_signed_request_object", flag(c.SignedRequests)},
			{"request_uris", strings.Join(c.RequestURIs, " ")},
			{"subject_type", c.SubjectType},
			{"sector_host", c.SectorHost},
			{"consent", c.Consent},
			{"scope_claims", c.ScopeClaims},
			{"device_flow", flag(c.DeviceFlow)},
			{"initiate_login_uri", c.InitiateLoginURI},
			{"default_acr_values", strings.Join(c.DefaultACR, " ")},
			{"region", c.Region},
			{"countries", strings.Join(c.Countries, " ")},
			{"truecaller_app", c.TruecallerApp},
			{"default_max_age", maxAge},
			{"client_uri", c.URI},
			{"logo_uri", c.LogoURI},
			{"tos_uri", c.TOSURI},
			{"policy_uri", c.PolicyURI},
			{"dangerously_without_pkce", flag(c.WithoutPKCE)},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
			}
		}
	})
	writeNotes(out, c)
	return err
}
