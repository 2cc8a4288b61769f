// SPDX-License-Identifier: Apache-2.0

package client

import (
	"strings"
	"testing"
	"time"
)

func good() Client {
	return Client{ID: "app", Name: "App", SecretHashes: []SecretHash{HashSecret("s")}, RedirectURIs: []string{"https://app.example/cb"}}
}

func TestValidate(t *testing.T) {
	minus := -time.Second
	rows := []struct {
		what   string
		change func(*Client)
		field  string // the one that is refused, "" for none
	}{
		{"good", func(*Client) {}, ""},
		{"public", func(c *Client) { c.Public, c.SecretHashes = true, nil }, ""},
		{"loopback", func(c *Client) {
			c.RedirectURIs = []string{"http://127.0.0.1/cb", "http://[::1]:8000/cb", "http://localhost:3000/"}
		}, ""},
		{"private-use scheme", func(c *Client) {
			c.RedirectURIs = []string{"com.example.app:/cb", "com.example.app://x/cb", "vcclient://openid/"}
		}, ""},
		{"everything", func(c *Client) {
			c.LogoURI, c.PostLogoutRedirectURIs, c.AllowedOrigins = "https://app.example/l.png", []string{"https://app.example/"}, []string{"https://app.example", "http://localhost:3000"}
			c.Scopes, c.IDTokenAlg, c.Pairwise, c.Region = []string{"openid", "phone"}, "EdDSA", true, "IN"
		}, ""},
		{"private_key_jwt", func(c *Client) { c.AuthMethod, c.SecretHashes, c.Keys = AuthPrivateKeyJWT, nil, someKeys }, ""},
		{"private_key_jwt from an address", func(c *Client) {
			c.AuthMethod, c.AuthAlg, c.SecretHashes, c.KeysURI = AuthPrivateKeyJWT, "PS256", nil, "https://app.example/keys"
		}, ""},
		{"private_key_jwt without keys", func(c *Client) { c.AuthMethod, c.SecretHashes = AuthPrivateKeyJWT, nil }, "jwks"},
		{"private_key_jwt with a secret", func(c *Client) { c.AuthMethod, c.Keys = AuthPrivateKeyJWT, someKeys }, "secret"},
		{"both kinds of keys", func(c *Client) { c.Keys, c.KeysURI = someKeys, "https://app.example/keys" }, "jwks_uri"},
		{"keys that are none", func(c *Client) { c.Keys = "{}" }, "jwks"},
		{"keys from a file", func(c *Client) { c.KeysURI = "file:///etc/passwd" }, "jwks_uri"},
		{"keys over plain HTTP", func(c *Client) { c.KeysURI = "http://app.example/keys" }, "jwks_uri"},
		{"client_secret_jwt", func(c *Client) {
			c.AuthMethod, c.SecretHashes = AuthSecretJWT, nil
			c.AddSecret(strings.Repeat("s", 32))
		}, ""},
		{"client_secret_jwt with a short secret", func(c *Client) {
			c.AuthMethod, c.SecretHashes = AuthSecretJWT, nil
			c.AddSecret(strings.Repeat("s", 31))
		}, "secret"},
		{"HS512 with a short secret", func(c *Client) {
			c.AuthMethod, c.AuthAlg, c.SecretHashes = AuthSecretJWT, "HS512", nil
			c.AddSecret(strings.Repeat("s", 63))
		}, "secret"},
		{"an unknown method", func(c *Client) { c.AuthMethod = "tls_client_auth" }, "token_endpoint_auth_method"},
		{"a method of a public client", func(c *Client) { c.Public, c.SecretHashes, c.AuthMethod = true, nil, AuthBasic }, "token_endpoint_auth_method"},
		{"an algorithm of the other method", func(c *Client) {
			c.AuthMethod, c.AuthAlg, c.SecretHashes, c.Keys = AuthPrivateKeyJWT, "HS256", nil, someKeys
		}, "token_endpoint_auth_signing_alg"},
		{"an algorithm for a plain secret", func(c *Client) { c.AuthAlg = "RS256" }, "token_endpoint_auth_signing_alg"},
		{"native", func(c *Client) { c.Native, c.Public, c.SecretHashes, c.RedirectURIs = true, true, nil, nil }, ""},
		{"native with a browser too", func(c *Client) { c.Native = true }, ""},
		{"native and pairwise", func(c *Client) { c.Native, c.RedirectURIs, c.Pairwise = true, nil, true }, "sector_host"},
		{"native of a third party", func(c *Client) { c.Native, c.Consent = true, ConsentRemember }, "native"},
		{"of devices", func(c *Client) { c.DeviceFlow, c.Public, c.SecretHashes, c.RedirectURIs = true, true, nil, nil }, ""},
		{"where a sign-in begins", func(c *Client) { c.InitiateLoginURI = "https://app.example/login?x=1" }, ""},
		{"where a sign-in begins, in the clear", func(c *Client) { c.InitiateLoginURI = "http://app.example/login" }, "initiate_login_uri"},
		{"where a sign-in begins, as a script", func(c *Client) { c.InitiateLoginURI = "javascript:alert(1)" }, "initiate_login_uri"},
		{"no id", func(c *Client) { c.ID = "" }, "id"},
		{"id with a colon", func(c *Client) { c.ID = "a:b" }, "id"},
		{"id with a space", func(c *Client) { c.ID = "a b" }, "id"},
		{"long id", func(c *Client) { c.ID = strings.Repeat("a", 129) }, "id"},
		{"id with a brace", func(c *Client) { c.ID = "a{b" }, "id"},
		{"id with a bar", func(c *Client) { c.ID = "a|b" }, "id"},
		{"id with an at sign", func(c *Client) { c.ID = "a@b" }, "id"},
		{"id with a grave accent", func(c *Client) { c.ID = "a`b" }, "id"},
		{"id with a slash", func(c *Client) { c.ID = "a/b" }, "id"},
		{"id that is not ASCII", func(c *Client) { c.ID = "appé" }, "id"},
		{"id of every kind of character", func(c *Client) { c.ID = "azAZ09._~-" }, ""},
		{"the longest id", func(c *Client) { c.ID = strings.Repeat("a", 128) }, ""},
		{"the longest name", func(c *Client) { c.Name = strings.Repeat("a", 200) }, ""},
		{"a longer name", func(c *Client) { c.Name = strings.Repeat("a", 201) }, "name"},
		{"logo on this machine", func(c *Client) { c.LogoURI = "http://localhost:8000/l.png" }, ""},
		{"logo without a host", func(c *Client) { c.LogoURI = "https:///l.png" }, "logo_uri"},
		{"logo of a user", func(c *Client) { c.LogoURI = "https://u:p@app.example/l.png" }, "logo_uri"},
		{"logo that is no URL", func(c *Client) { c.LogoURI = "https://app.example:x/" }, "logo_uri"},
		{"any age", func(c *Client) { c.DefaultMaxAge = new(time.Hour) }, ""},
		{"no age", func(c *Client) { c.DefaultMaxAge = new(time.Duration(0)) }, ""},
		{"origin without a host", func(c *Client) { c.AllowedOrigins = []string{"https://:8443"} }, "allowed_origins[0]"},
		{"name with a newline", func(c *Client) { c.Name = "a\nb" }, "name"},
		{"name that runs backwards", func(c *Client) { c.Name = "\u202egpj" }, "name"},
		{"script for a logo", func(c *Client) { c.LogoURI = "javascript:alert(1)" }, "logo_uri"},
		{"plain logo", func(c *Client) { c.LogoURI = "http://app.example/l.png" }, "logo_uri"},
		{"no secret", func(c *Client) { c.SecretHashes = nil }, "secret"},
		{"public with a secret", func(c *Client) { c.Public = true }, "secret"},
		{"public without PKCE", func(c *Client) { c.Public, c.SecretHashes, c.WithoutPKCE = true, nil, true }, "without_pkce"},
		{"no redirect URI", func(c *Client) { c.RedirectURIs = nil }, "redirect_uris"},
		{"bad address after signing out", func(c *Client) { c.PostLogoutRedirectURIs = []string{"/bye"} }, "post_logout_redirect_uris[0]"},
		{"any origin", func(c *Client) { c.AllowedOrigins = []string{"*"} }, "allowed_origins[0]"},
		{"null origin", func(c *Client) { c.AllowedOrigins = []string{"null"} }, "allowed_origins[0]"},
		{"origin with a slash", func(c *Client) { c.AllowedOrigins = []string{"https://app.example/"} }, "allowed_origins[0]"},
		{"plain origin", func(c *Client) { c.AllowedOrigins = []string{"http://app.example"} }, "allowed_origins[0]"},
		{"origin with the default port", func(c *Client) { c.AllowedOrigins = []string{"https://app.example:443"} }, "allowed_origins[0]"},
		{"upper case origin", func(c *Client) { c.AllowedOrigins = []string{"https://App.example"} }, "allowed_origins[0]"},
		{"unknown scope", func(c *Client) { c.Scopes = []string{"openid", "cheese"} }, "scopes[1]"},
		{"scopes without openid", func(c *Client) { c.Scopes = []string{"phone"} }, "scopes"},
		{"default scopes", func(c *Client) { c.Scopes, c.DefaultScopes = []string{"openid", "phone"}, []string{"openid"} }, ""},
		{"default scopes of all", func(c *Client) { c.DefaultScopes = []string{"openid", "offline_access"} }, ""},
		{"default scopes without openid", func(c *Client) { c.DefaultScopes = []string{"phone"} }, "default_scopes"},
		{"an unknown default scope", func(c *Client) { c.DefaultScopes = []string{"openid", "cheese"} }, "default_scopes[1]"},
		{"a default scope that it may not have", func(c *Client) { c.Scopes, c.DefaultScopes = []string{"openid"}, []string{"openid", "phone"} }, "default_scopes[1]"},
		{"claims from userinfo", func(c *Client) { c.ScopeClaims = ScopeClaimsAtUserinfo }, ""},
		{"claims from elsewhere", func(c *Client) { c.ScopeClaims = "both of them" }, "scope_claims"},
		{"every response type", func(c *Client) { c.ResponseTypes = ResponseTypes }, ""},
		{"an unknown response type", func(c *Client) { c.ResponseTypes = []ResponseType{"code", "token"} }, "response_types[1]"},
		{"a response type twice", func(c *Client) { c.ResponseTypes = []ResponseType{"code", "code"} }, "response_types[1]"},
		{"symmetric algorithm", func(c *Client) { c.IDTokenAlg = "HS256" }, "id_token_signed_response_alg"},
		{"pairwise with two hosts", func(c *Client) {
			c.Pairwise, c.RedirectURIs = true, []string{"https://a.example/cb", "https://b.example/cb"}
		}, "sector_host"},
		{"pairwise app without a host", func(c *Client) { c.Pairwise, c.RedirectURIs = true, []string{"com.example.app:/cb"} }, "sector_host"},
		{"sector that is an address", func(c *Client) { c.Pairwise, c.SectorHost = true, "https://a.example" }, "sector_host"},
		{"negative age", func(c *Client) { c.DefaultMaxAge = &minus }, "default_max_age"},
		{"unknown country", func(c *Client) { c.Region = "XX" }, "region"},
		{"lower case country", func(c *Client) { c.Region = "in" }, "region"},
		{"countries", func(c *Client) { c.Countries = []string{"IN", "SE"} }, ""},
		{"an unknown one of several countries", func(c *Client) { c.Countries = []string{"IN", "XX"} }, "countries[1]"},
		{"a country twice", func(c *Client) { c.Countries = []string{"IN", "SE", "IN"} }, "countries[2]"},
		{"a world of countries", func(c *Client) {
			c.Countries = strings.Fields("AF AL AR AT AU BD BE BR CA CH CL CN CO DE DK EG ES FI FR GB GR")
		}, "countries"},
	}
	for _, row := range rows {
		c := good()
		row.change(&c)
		found := Validate(c)
		if row.field == "" && len(found) > 0 || row.field != "" && (len(found) != 1 || found[0].Field != row.field || found[0].Reason == "") {
			t.Errorf("%s: got %v, want one error of %q", row.what, found, row.field)
		}
	}
	if found := Validate(Client{}); len(found) < 3 {
		t.Errorf("got %v, want all errors at once", found)
	}
}

func TestCheckRedirect(t *testing.T) {
	for _, bad := range []string{
		"", "/cb", "//app.example/cb", "app.example/cb", "http://app.example/cb", "http://10.0.0.1/cb", "http://127.0.0.1.evil.example/cb",
		"https://", "http://127.0.0.1:8000#x", "https:///cb", "https://app.example#", "https://u@app.example", "https://app.example/cb#x", "https://app.example/cb#", "https://u:p@app.example/cb",
		"https://*.app.example/cb", "https://app.example/*", "javascript:alert(1)", "javascript:alert(1)//x.y", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://app.example/cb",
		"myapp://cb", "com.example.app", "com.example.app:cb", "com.example.app:", "https://app.example/a b", "https://app.example/å", "https://app.example/\\evil", " https://app.example/cb",
		"https://app.example/cb\n", "https:app.example/cb", "https://app.example/" + strings.Repeat("x", 2048), "https://app.example:x/cb",
		"https://app.example/\x7f", "https://app.example/\x00", "https://app.example/{x}", "%zz:", "https://:8443/cb",
	} {
		if checkRedirect(bad) == "" {
			t.Errorf("%q was accepted", bad)
		}
	}
	for _, good := range []string{
		"https://app.example", "https://app.example?x=1", "http://localhost:9602", "http://127.0.0.1", "http://[::1]:8000", "com.example.app://callback", "com.example.app:/callback",
		"https://app.example/", "https://app.example:8443/cb?x=1&y=%2F", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost:3000/cb", "com.example.app:/cb", "vcclient://openid/",
		"https://tenant.example/realms/R/broker/ALIAS/endpoint", "https://x.auth.eu-north-1.amazoncognito.com/oauth2/idpresponse",
	} {
		if text := checkRedirect(good); text != "" {
			t.Errorf("%q %s", good, text)
		}
	}
}

func TestRedirectAllowed(t *testing.T) {
	confidential := Client{RedirectURIs: []string{"https://app.example/cb", "http://127.0.0.1/cb"}}
	native := Client{Public: true, RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/", "http://127.0.0.1:9000/fixed", "http://localhost/cb"}}
	root := Client{RedirectURIs: []string{"https://app.example", "https://slash.example/", "https://query.example?x=1", "http://localhost:9602", "com.example.app://callback"}}
	nativeRoot := Client{Public: true, RedirectURIs: []string{"http://127.0.0.1", "http://[::1]/"}}
	for _, row := range []struct {
		c    Client
		uri  string
		want bool
	}{
		// An empty path is "/" (RFC 3986 §6.2.3), and nothing else is normalised.
		{root, "https://app.example", true},
		{root, "https://app.example/", true},
		{root, "https://slash.example", true},
		{root, "https://query.example/?x=1", true},
		{root, "http://localhost:9602/", true},
		{root, "com.example.app://callback", true},
		{root, "com.example.app://callback/", false},
		{root, "https://app.example//", false},
		{root, "https://app.example?", false},
		{root, "https://app.example/?", false},
		{root, "https://app.example#", false},
		{root, "https://app.example.", false},
		{root, "https://app.example:443", false},
		{root, "HTTPS://app.example", false},
		{root, "https://app.example@evil.example", false},
		{root, "https://app.example\\@evil.example", false},
		{root, "https://query.example", false},
		{root, "https://app.example/x", false},
		{nativeRoot, "http://127.0.0.1:35287", true},
		{nativeRoot, "http://127.0.0.1:35287/", true},
		{nativeRoot, "http://[::1]:35287", true},
		{nativeRoot, "http://127.0.0.1:35287@evil.example", false},
		{nativeRoot, "http://127.0.0.1:35287?x", false},
		{native, "http://127.0.0.1:35287", false}, // registered with a path
		{confidential, "https://app.example/cb", true},
		{confidential, "", false},
		{confidential, "https://app.example/cb?", false},
		{confidential, "https://app.example/c%62", false},
		{confidential, "http://127.0.0.1/cb", true},
		{confidential, "http://127.0.0.1:8000/cb", false}, // for public clients only
		{native, "http://127.0.0.1/cb", true},
		{native, "http://127.0.0.1:1/cb", true},
		{native, "http://127.0.0.1:65535/cb", true},
		{native, "http://[::1]:8000/", true},
		{native, "http://127.0.0.1:65536/cb", false},
		{native, "http://127.0.0.1:0/cb", false},
		{native, "http://127.0.0.1:08/cb", false},
		{native, "http://127.0.0.1:/cb", false},
		{native, "http://127.0.0.1:8000/cb/", false},
		{native, "http://127.0.0.1:8000@evil.example/cb", false},
		{native, "http://127.0.0.1:8000.evil.example/cb", false},
		{native, "http://127.0.0.1:8000/x/cb", false},
		{native, "http://127.0.0.1:8/0/cb", false},
		{native, "http://127.0.0.1:80.0/cb", false},
		{native, "http://127.0.0.1:-80/cb", false},
		{native, "http://127.0.0.1:80 /cb", false},
		{native, "8000/cb", false}, // a port and the path, and no address
		{native, ":8000/cb", false},
		{native, "8000/", false},
		{native, "http://127.0.0.2:8000/cb", false},
		{native, "https://127.0.0.1:8000/cb", false},
		{native, "http://127.0.0.1:9001/fixed", false}, // registered with its port
		{native, "http://localhost:8000/cb", false},    // RFC 8252 §8.3
	} {
		if got := row.c.RedirectAllowed(row.uri); got != row.want {
			t.Errorf("public %v, %s: %v", row.c.Public, row.uri, got)
		}
	}
}

func TestAdvise(t *testing.T) {
	c := Client{Public: true, RedirectURIs: []string{"https://app.example", "com.example.app:/cb", "com.example.app://cb", "http://localhost:3000/cb", "vcclient://openid/"}}
	var fields []string
	for _, unwise := range Advise(c) {
		fields = append(fields, unwise.Field)
	}
	if got := strings.Join(fields, " "); got != "redirect_uris[2] redirect_uris[3]" {
		t.Errorf("got advice about %s, want the two that RFC 8252 advises against", got)
	}
}

// What RFC 8252 advises against is for applications on the user's machine; and what is
// not valid is another's to refuse.
func TestAdviseSparesOthers(t *testing.T) {
	for what, c := range map[string]Client{
		"a server on this machine": {RedirectURIs: []string{"http://localhost:3000/cb"}},
		"localhost over TLS":       {Public: true, RedirectURIs: []string{"https://localhost/cb"}},
		"the loopback address":     {Public: true, RedirectURIs: []string{"http://127.0.0.1/cb"}},
		"no URI":                   {Public: true, RedirectURIs: []string{"%zz:", ""}},
		"a page after signing out": {PostLogoutRedirectURIs: []string{"http://localhost:3000/"}},
	} {
		if unwise := Advise(c); unwise != nil {
			t.Errorf("%s: got %v, want no advice", what, unwise)
		}
	}
	if unwise := Advise(Client{Public: true, PostLogoutRedirectURIs: []string{"http://localhost/"}}); len(unwise) != 1 || unwise[0].Field != "post_logout_redirect_uris[0]" {
		t.Errorf("an application's page after signing out: got %v, want advice", unwise)
	}
}

func TestSector(t *testing.T) {
	for what, row := range map[string]struct {
		c    Client
		want string
	}{
		"one host":                  {Client{RedirectURIs: []string{"https://a.example/cb", "https://a.example:8443/other", "http://a.example/"}}, "a.example"},
		"two hosts":                 {Client{RedirectURIs: []string{"https://a.example/cb", "https://b.example/cb"}}, ""},
		"two hosts and a sector":    {Client{SectorHost: "c.example", RedirectURIs: []string{"https://a.example/cb", "https://b.example/cb"}}, "c.example"},
		"an application's":          {Client{RedirectURIs: []string{"com.example.app://a.example/cb"}}, ""},
		"a page and an application": {Client{RedirectURIs: []string{"https://a.example/cb", "com.example.app://a.example/cb"}}, ""},
		"no URI":                    {Client{RedirectURIs: []string{"%zz:"}}, ""},
		"none":                      {Client{}, ""},
	} {
		if got := row.c.Sector(); got != row.want {
			t.Errorf("%s: got %q, want %q", what, got, row.want)
		}
	}
}

func TestGrantableScopes(t *testing.T) {
	narrow := Client{Scopes: []string{"openid", "phone"}}
	for requested, want := range map[string]string{
		"":                          "",
		"phone cheese openid":       "openid phone",
		"openid email address":      "openid",
		"openid openid phone phone": "openid phone",
	} {
		if got := strings.Join(narrow.GrantableScopes(strings.Fields(requested)), " "); got != want {
			t.Errorf("%q: got %q, want %q", requested, got, want)
		}
	}
	if got := strings.Join(Client{}.GrantableScopes([]string{"email", "openid"}), " "); got != "openid email" {
		t.Errorf("a client of all scopes: got %q, want openid email", got)
	}
}

func TestNearestRedirect(t *testing.T) {
	c := Client{RedirectURIs: []string{"https://app.example/cb", "https://app.example/other/callback", "com.example.app:/cb"}}
	for uri, want := range map[string]string{
		"https://app.example/cb/": "https://app.example/cb", "https://app.example/other/call": "https://app.example/other/callback", "com.example.app:/x": "com.example.app:/cb",
	} {
		if got := c.NearestRedirect(uri); got != want {
			t.Errorf("%s: %s", uri, got)
		}
	}
	if (Client{}).NearestRedirect("x") != "" {
		t.Error("without any")
	}
}

// Whatever is accepted is safe to send a browser to, and is found again.
func FuzzRedirectURI(f *testing.F) {
	for _, seed := range []string{"https://app.example/cb", "javascript:alert(1)", "com.example.app:/cb", "http://127.0.0.1:8000/cb", "https://a@b/c", "https://app.example/\u202e", "http://[::1]/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if checkRedirect(uri) != "" {
			return
		}
		lower := strings.ToLower(uri)
		for _, bad := range []string{"javascript:", "data:", "vbscript:", "file:", "//", " "} {
			if strings.HasPrefix(lower, bad) {
				t.Fatalf("accepted %q", uri)
			}
		}
		if strings.ContainsAny(uri, "#*\r\n\t \"<>\\") {
			t.Fatalf("accepted %q", uri)
		}
		if c := (Client{RedirectURIs: []string{uri}}); !c.RedirectAllowed(uri) || c.RedirectAllowed(uri+"x") {
			t.Fatalf("%q is not compared whole", uri)
		}
	})
}
