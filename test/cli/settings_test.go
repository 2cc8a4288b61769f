// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"calleridp/test/harness"

	"github.com/goccy/go-yaml"
	"github.com/pelletier/go-toml/v2"
)

// pairs reads lines of the form name = value, without comments and sections.
func pairs(text, comment string) map[string]any {
	all := map[string]any{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, comment) {
			continue
		}
		value = strings.TrimSpace(value)
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		all[strings.TrimSpace(name)] = value
	}
	return all
}

// at returns what is at a path of a parsed document; the names are apart by spaces.
func at(document any, path string) any {
	for name := range strings.FieldsSeq(path) {
		switch d := document.(type) {
		case map[string]any:
			document = d[name]
		case []any:
			i, _ := strconv.Atoi(name)
			document = d[i]
		}
	}
	return document
}

// What client add --settings prints is a file in the format of the product. Its addresses
// are those of the discovery document, and its secret is the client's. client show has the
// same file without the secret.
func TestSettingsOfProducts(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	var discovery map[string]any
	response, err := http.Get(server.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&discovery); err != nil {
		t.Fatal(err)
	}
	issuer, logout := discovery["issuer"].(string), discovery["end_session_endpoint"].(string)
	// file runs a command, whose standard output is a file.
	file := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(harness.Binary(t), append(args, "--socket", server.Socket)...).Output()
		if err != nil {
			t.Fatalf("calleridp %s: %v\n%s", strings.Join(args, " "), err, err.(*exec.ExitError).Stderr)
		}
		return string(out)
	}
	const spring = "spring security oauth2 client "
	for _, row := range []struct {
		product, redirect string
		parse             func(text string, v *any) error
		secret            string         // where it is
		want              map[string]any // by path
	}{
		{
			product: "oauth2-proxy", redirect: "https://app.example/oauth2/callback",
			parse:  func(text string, v *any) error { return toml.Unmarshal([]byte(text), v) },
			secret: "client_secret",
			want: map[string]any{
				"provider": "oidc", "oidc_issuer_url": issuer, "client_id": "oauth2-proxy", "redirect_url": "https://app.example/oauth2/callback",
				"code_challenge_method": "S256", "scope": "openid profile phone", "backend_logout_url": logout + "?id_token_hint={id_token}",
				"oidc_email_claim": "phone_number", "insecure_oidc_skip_nonce": false,
			},
		},
		{
			product: "authjs", redirect: "https://shop.example/api/auth/callback/truecaller",
			parse:  func(text string, v *any) error { *v = pairs(text, "#"); return nil },
			secret: "AUTH_TRUECALLER_SECRET",
			want:   map[string]any{"AUTH_TRUECALLER_ISSUER": issuer, "AUTH_TRUECALLER_ID": "authjs"},
		},
		{
			product: "spring", redirect: "https://shop.example/login/oauth2/code/phone",
			parse:  func(text string, v *any) error { return yaml.Unmarshal([]byte(text), v) },
			secret: spring + "registration phone client-secret",
			want: map[string]any{
				spring + "provider phone issuer-uri": issuer, spring + "registration phone client-id": "spring",
				spring + "registration phone scope": "openid, profile, phone",
			},
		},
		{
			product: "grafana", redirect: "https://grafana.example/login/generic_oauth",
			parse:  func(text string, v *any) error { *v = pairs(text, ";"); return nil },
			secret: "client_secret",
			want: map[string]any{
				"client_id": "grafana", "auth_url": discovery["authorization_endpoint"], "token_url": discovery["token_endpoint"],
				"api_url": discovery["userinfo_endpoint"], "scopes": "openid profile phone", "use_pkce": "true",
				"signout_redirect_url": logout + "?client_id=grafana&post_logout_redirect_uri=https%3A%2F%2Fout.example%2F",
			},
		},
		{
			product: "keycloak", redirect: "https://sso.example/realms/demo/broker/phone/endpoint",
			parse:  func(text string, v *any) error { return json.Unmarshal([]byte(text), v) },
			secret: "identityProviders 0 config clientSecret",
			want: map[string]any{
				"identityProviders 0 alias": "phone", "identityProviderMappers 0 identityProviderAlias": "phone",
				"identityProviders 0 config issuer": issuer, "identityProviders 0 config logoutUrl": logout,
				"identityProviders 0 config authorizationUrl": discovery["authorization_endpoint"],
				"identityProviders 0 config tokenUrl":         discovery["token_endpoint"],
				"identityProviders 0 config userInfoUrl":      discovery["userinfo_endpoint"],
				"identityProviders 0 config jwksUrl":          discovery["jwks_uri"],
				"identityProviders 0 config clientAuthMethod": "client_secret_post",
			},
		},
		{
			product: "auth0", redirect: "https://tenant.auth0.com/login/callback",
			parse:  func(text string, v *any) error { return json.Unmarshal([]byte(text), v) },
			secret: "options client_secret",
			want: map[string]any{
				"strategy": "oidc", "options issuer": issuer, "options discovery_url": issuer + "/.well-known/openid-configuration",
				"options client_id": "auth0", "options scope": "openid profile phone",
			},
		},
	} {
		t.Run(row.product, func(t *testing.T) {
			text := file("client", "add", "--name", "X", "--id", row.product, "--redirect-uri", row.redirect,
				"--post-logout-redirect-uri", "https://out.example/", "--settings", row.product)
			var parsed any
			if err := row.parse(text, &parsed); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for path, want := range row.want {
				if got := at(parsed, path); got != want {
					t.Errorf("%s is %v, want %v", path, got, want)
				}
			}
			secret, _ := at(parsed, row.secret).(string)
			if !authenticates(t, server.Issuer, row.product, secret) {
				t.Errorf("%s is %q, which is not the client's secret", row.secret, secret)
			}
			shown := file("client", "show", row.product, "--settings", row.product)
			if want := strings.ReplaceAll(text, secret, "PASTE-THE-CLIENT-SECRET"); shown != want {
				t.Errorf("client show --settings printed\n%s\nwant\n%s", shown, want)
			}
			one(t, "--settings "+row.product+": the product needs a redirect URI like https://", "client", "add", "--name", "X", "--redirect-uri", "", "--settings", row.product, "--socket", server.Socket)
		})
	}
	for says, args := range map[string][]string{
		"use one of auth0, authjs, grafana, keycloak, oauth2-proxy, spring": {"--settings", "zitadel"},
		"leave out --output json":               {"--settings", "auth0", "-o", "json"},
		"this one is public":                    {"--settings", "auth0", "--public"},
		"signed with RS256 and not encrypted":   {"--settings", "auth0", "--alg", "ES256"},
		"auth_method is client_secret_basic":    {"--settings", "auth0", "--auth-method", "client_secret_basic"},
		"a public client has no secret; leave ": {"--secret-file", "x", "--public"},
	} {
		one(t, says, append([]string{"client", "add", "--name", "X", "--redirect-uri", "https://a.example/login/callback", "--socket", server.Socket}, args...)...)
	}
	if listed := file("client", "list"); strings.Count(listed, "client add") != 6 {
		t.Errorf("client list printed\n%s\nwant the six clients and none that was refused", listed)
	}
}

// A secret can go to a file instead of the terminal: the file is whole, for its owner only,
// and the output has no secret.
func TestSecretFile(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	file := filepath.Join(t.TempDir(), "secret")
	command := func(args ...string) string { t.Helper(); return good(t, append(args, "--socket", server.Socket)...) }
	add := []string{"client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://app.example/oauth2/callback", "--secret-file"}
	secret := func(out string) string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(out, string(text)) {
			t.Fatalf("%v; printed\n%s\nwant a file, and no secret printed", err, out)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file has the mode %v (%v), want 0600", info.Mode(), err)
		}
		if !authenticates(t, server.Issuer, "shop", string(text)) {
			t.Errorf("the file has %q, which is not the client's secret", text)
		}
		return string(text)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere", "secret")
	one(t, "no such file or directory", append(add, nowhere, "--socket", server.Socket)...)
	first := secret(command(append(add, file, "--settings", "oauth2-proxy")...))
	one(t, "exists and is not overwritten", "client", "add", "--name", "X", "--redirect-uri", "https://a.example/cb", "--secret-file", file, "--socket", server.Socket)
	one(t, "no such file or directory", "client", "rotate-secret", "shop", "--secret-file", nowhere, "--socket", server.Socket)
	one(t, "needs a redirect URI like", "client", "rotate-secret", "shop", "--settings", "spring", "--socket", server.Socket)
	if second := secret(command("client", "rotate-secret", "shop", "--secret-file", file, "--output", "json")); second == first {
		t.Error("the file has the first secret after a rotation")
	}
	// None of the refused commands has made a secret: the first is still the one before.
	if !authenticates(t, server.Issuer, "shop", first) {
		t.Error("a refused command made a secret")
	}
	if out := command("client", "show", "shop", "--settings", "oauth2-proxy"); !strings.Contains(out, `client_secret = "PASTE-`) {
		t.Errorf("client show --settings printed\n%s\nwant a placeholder", out)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(left) != 1 {
		t.Errorf("left over: %v (%v)", left, err)
	}
	if listed := command("client", "list"); strings.Count(listed, "client add") != 1 {
		t.Errorf("client list printed\n%s\nwant one client that was added", listed)
	}
}
