// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"
	"calleridp/provider/endpoint"

	"github.com/spf13/cobra"
)

// product is a program whose settings a command prints, ready to paste. What they are is
// in docs/recipes, and in the file of the product in settings/.
type product struct {
	file     string         // in settings/
	redirect *regexp.Regexp // of its redirect URIs; its groups are Match of the template
	example  string         // one of them
	auth     []string       // how it can authenticate, if the client allows one way only
	paste    string         // where the settings go, for formats without comments
}

var products = map[string]product{
	"auth0": {
		file:     "auth0.json",
		redirect: regexp.MustCompile(`/login/callback$`),
		example:  "https://TENANT.auth0.com/login/callback",
		auth:     []string{"client_secret_post"},
		paste:    "Auth0: POST it to /api/v2/connections, then enable the connection for your applications.",
	},
	"authjs": {
		file:     "authjs.env",
		redirect: regexp.MustCompile(`/auth/callback/(?P<id>[A-Za-z0-9_-]+)$`),
		example:  "https://shop.example/api/auth/callback/truecaller",
		auth:     []string{"client_secret_basic"},
	},
	"grafana": {
		file:     "grafana.ini",
		redirect: regexp.MustCompile(`/login/generic_oauth$`),
		example:  "https://grafana.example/login/generic_oauth",
		auth:     []string{"client_secret_basic", "client_secret_post"},
	},
	"keycloak": {
		file:     "keycloak.json",
		redirect: regexp.MustCompile(`/realms/(?P<realm>[^/]+)/broker/(?P<alias>[^/]+)/endpoint$`),
		example:  "https://sso.example/realms/REALM/broker/truecaller/endpoint",
		auth:     []string{"client_secret_basic", "client_secret_post"},
		paste:    "Keycloak: first add the attributes phoneNumber and phoneNumberVerified to the user profile, editable by administrators only. Then choose Partial import in the realm settings.",
	},
	"oauth2-proxy": {
		file:     "oauth2-proxy.cfg",
		redirect: regexp.MustCompile(`.`),
		example:  "https://app.example/oauth2/callback",
		auth:     []string{"client_secret_basic", "client_secret_post"},
	},
	"spring": {
		file:     "spring.yaml",
		redirect: regexp.MustCompile(`/login/oauth2/code/(?P<registration>[A-Za-z0-9_-]+)$`),
		example:  "https://shop.example/login/oauth2/code/calleridp",
		auth:     []string{"client_secret_basic", "client_secret_post"},
	},
}

// placeholder stands where a secret goes that is not shown again.
const placeholder = "PASTE-THE-CLIENT-SECRET"

//go:embed settings
var settingsFiles embed.FS

var settingsTemplates = template.Must(template.New("").Funcs(template.FuncMap{
	"quote":  quoted,
	"query":  url.QueryEscape,
	"commas": func(scope string) string { return strings.ReplaceAll(scope, " ", ", ") },
}).ParseFS(settingsFiles, "settings/*"))

// settings is what a template of settings/ is filled with.
type settings struct {
	Issuer, Discovery, Authorize, Token, Userinfo, JWKS, Logout string

	ID, Secret, AuthMethod     string
	SecretFile                 string // has the secret, which is a placeholder then; may be ""
	RedirectURI, PostLogoutURI string
	Match                      map[string]string
	Scope                      string
	Claim                      string // phone_number, or sub where the client may not request that
}

// settingsFlag adds the flag that chooses a product.
func settingsFlag(c *cobra.Command) *string {
	var name string
	names := productNames()
	command.Choice(c, &name, "settings", "", "", "print the settings of this `product` instead, ready to paste: "+strings.Join(names, ", "), names...)
	return &name
}

func productNames() []string {
	var names []string
	for name := range products {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// match returns the redirect URI of a client that is the product's, and the parts of it.
// It refuses a client with which the product cannot sign users in.
func (p product) match(c admin.Client) (uri string, parts map[string]string, err error) {
	switch {
	case c.Public:
		return "", nil, fmt.Errorf("the settings are for clients with a secret, and this one is public")
	case c.AuthMethod != "" && !slices.Contains(p.auth, c.AuthMethod):
		return "", nil, fmt.Errorf("token_endpoint_auth_method is %s, which the product does not do; use %s", c.AuthMethod, strings.Join(p.auth, " or "))
	case c.IDTokenAlg != "" && c.IDTokenAlg != "RS256", c.IDTokenEncryptionAlg != "":
		return "", nil, fmt.Errorf("the settings are for clients with ID tokens that are signed with RS256 and not encrypted")
	}
	for _, uri := range c.RedirectURIs {
		if found := p.redirect.FindStringSubmatch(uri); found != nil {
			parts := map[string]string{}
			for i, name := range p.redirect.SubexpNames() {
				parts[name] = found[i]
			}
			return uri, parts, nil
		}
	}
	return "", nil, fmt.Errorf("the product needs a redirect URI like %s", p.example)
}

// checkSettings refuses --settings for a client that does not suit, "" for none.
func checkSettings(r request, name string, c admin.Client) error {
	if name == "" {
		return nil
	}
	if *r.output == command.JSON {
		return command.Usagef("--settings prints the format of the product; leave out --output json")
	}
	if _, _, err := products[name].match(c); err != nil {
		return fmt.Errorf("--settings %s: %w", name, err)
	}
	return nil
}

// printSettings prints the settings of a product for a client. Its secret, if it is known,
// is in them, and nowhere else. What else is to be said goes to errOut, so that a file gets
// the settings alone.
func printSettings(ctx context.Context, r request, name string, c admin.Client, secretFile string) error {
	p := products[name]
	uri, parts, err := p.match(c)
	if err != nil {
		return fmt.Errorf("--settings %s: %w", name, err)
	}
	var server admin.Server
	if err := r.call(ctx, http.MethodGet, "/v1/server", nil, &server); err != nil {
		return err
	}
	s := settings{
		Issuer:    server.Issuer,
		Discovery: server.Issuer + endpoint.PathDiscovery,
		Authorize: server.Issuer + endpoint.PathAuthorize,
		Token:     server.Issuer + endpoint.PathToken,
		Userinfo:  server.Issuer + endpoint.PathUserinfo,
		JWKS:      server.Issuer + endpoint.PathJWKS,
		Logout:    server.Issuer + endpoint.PathEndSession,

		ID:          c.ID,
		Secret:      c.Secret,
		AuthMethod:  c.AuthMethod,
		SecretFile:  secretFile,
		RedirectURI: uri,
		Match:       parts,
		Scope:       allowedScope(c),
		Claim:       "phone_number",
	}
	if s.Secret == "" {
		s.Secret = placeholder
	}
	if !slices.Contains(strings.Fields(s.Scope), "phone") {
		s.Claim = "sub"
	}
	if len(c.PostLogoutRedirectURIs) > 0 {
		s.PostLogoutURI = c.PostLogoutRedirectURIs[0]
	}
	if err := settingsTemplates.ExecuteTemplate(r.out, p.file, s); err != nil {
		return err
	}
	if p.paste != "" {
		fmt.Fprintln(r.errOut, p.paste)
	}
	writeNotes(r.errOut, c)
	return nil
}

// allowedScope returns the usual scope, without what the client may not request.
func allowedScope(c admin.Client) string {
	usual := []string{"openid", "profile", "phone"}
	if allowed := strings.Fields(c.Scope); len(allowed) > 0 {
		usual = slices.DeleteFunc(usual, func(s string) bool { return !slices.Contains(allowed, s) })
	}
	return strings.Join(usual, " ")
}

// quoted writes a string as JSON does. YAML, TOML, dotenv files and JavaScript read that, too.
func quoted(s string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// writeNotes writes what is unwise about a client, and that its secret is not shown again.
func writeNotes(out io.Writer, c admin.Client) {
	for _, warning := range c.Warnings {
		fmt.Fprintln(out, "note:", warning)
	}
	if c.Secret != "" {
		fmt.Fprintln(out, "\nThe secret is shown only this once.")
	}
}
