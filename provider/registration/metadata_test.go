// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
)

const key = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

// Every member of the specifications is honoured, and read again, or refused by its name
// (OpenID Connect Dynamic Client Registration §2, §3.3; RFC 7591 §2, §3.2.2).
func TestMembers(t *testing.T) {
	w := worldWith(t, open())
	for _, row := range []struct {
		members string
		refused string // the member, "" for none
	}{
		{``, ""},
		{`"response_types":["code"]`, ""},
		{`"response_types":["id_token"]`, "grant_types"},
		{`"response_types":["id_token"],"grant_types":["implicit"]`, ""},
		{`"response_types":["code","code id_token"],"grant_types":["authorization_code","implicit"]`, ""},
		{`"response_types":["code id_token"],"grant_types":["implicit"]`, "grant_types"},
		{`"response_types":["code","token"],"grant_types":["authorization_code","implicit"]`, "response_types[1]"},
		{`"response_types":["code token"],"grant_types":["authorization_code","implicit"]`, "response_types[0]"}, // not turned on here
		{`"response_types":"code"`, "response_types"},
		{`"grant_types":["authorization_code","refresh_token"]`, ""},
		{`"grant_types":["refresh_token"]`, "grant_types"},
		{`"grant_types":["authorization_code","implicit"]`, "grant_types"},
		{`"grant_types":["client_credentials"]`, "grant_types"},
		{`"application_type":"web"`, ""},
		{`"application_type":"desktop"`, "application_type"},
		{`"contacts":["ve7jtb@example.org"]`, ""},
		{`"contacts":"ve7jtb@example.org"`, "contacts"},
		{`"contacts":["a\u0000b"]`, "contacts"},
		{`"contacts":["a",null]`, "contacts"},
		{`"contacts":["a"],"contacts":["a"]`, "contacts"},
		{`"unknown":1,"unknown":null`, "unknown"},
		{`"contacts":["1","2","3","4","5","6","7","8","9","10","11"]`, "contacts"},
		{`"client_name":"My Example"`, ""},
		{`"client_name":"My\u202eExample"`, "client_name"},
		{`"client_name":7`, "client_name"},
		{`"client_name":"例え 2"`, ""},
		{`"client_name":" "`, "client_name"},
		{`"client_name":"\u3164\u2800\ufe0f"`, "client_name"},
		{`"logo_uri":"https://app.example/logo.png"`, ""},
		{`"logo_uri":"http://app.example/logo.png"`, "logo_uri"},
		{`"logo_uri":"javascript:alert(1)"`, "logo_uri"},
		{`"frontchannel_logout_uri":"https://app.example/out"`, ""},
		{`"frontchannel_logout_uri":"https://app.example/out?a=b","frontchannel_logout_session_required":true`, ""},
		{`"frontchannel_logout_uri":"https://evil.example/out"`, "frontchannel_logout_uri"},
		{`"frontchannel_logout_uri":"https://app.example/out#x"`, "frontchannel_logout_uri"},
		{`"frontchannel_logout_uri":["https://app.example/out"]`, "frontchannel_logout_uri"},
		{`"frontchannel_logout_session_required":true`, "frontchannel_logout_uri"},
		{`"frontchannel_logout_session_required":"yes"`, "frontchannel_logout_session_required"},
		{`"client_uri":"https://app.example"`, ""},
		{`"client_uri":"http://127.0.0.1/"`, "client_uri"},
		{`"policy_uri":"https://app.example/policy"`, ""},
		{`"policy_uri":"app.example/policy"`, "policy_uri"},
		{`"tos_uri":"https://app.example/tos"`, ""},
		{`"tos_uri":"https://user@app.example/tos"`, "tos_uri"},
		{`"jwks_uri":"https://app.example/jwks"`, ""},
		{`"jwks_uri":"http://app.example/jwks"`, "jwks_uri"},
		{`"jwks_uri":"https://app.example/` + strings.Repeat("x", 2048) + `"`, "jwks_uri"},
		{`"jwks":` + key, ""},
		{`"jwks":{"keys":[{"kty":"oct","k":"AA"}]}`, "jwks"},
		{`"jwks":` + key + `,"jwks_uri":"https://app.example/jwks"`, "jwks_uri"},
		{`"subject_type":"public"`, ""},
		{`"subject_type":"pairwise"`, ""},
		{`"subject_type":"private"`, "subject_type"},
		{`"sector_identifier_uri":"` + sector + `","subject_type":"pairwise"`, ""},
		{`"sector_identifier_uri":"` + sector + `"`, ""},
		{`"sector_identifier_uri":"http://sector.example/redirects.json"`, "sector_identifier_uri"},
		{`"sector_identifier_uri":"https://sector.example/1"`, "sector_identifier_uri"},
		{`"sector_identifier_uri":"https://sector.example/2"`, "sector_identifier_uri"},
		{`"sector_identifier_uri":"https://nowhere.example/"`, "sector_identifier_uri"},
		{`"id_token_signed_response_alg":"RS256"`, ""},
		{`"id_token_signed_response_alg":"ES256"`, ""},
		{`"id_token_signed_response_alg":"HS256"`, "id_token_signed_response_alg"},
		{`"id_token_signed_response_alg":"none"`, "id_token_signed_response_alg"},
		{`"id_token_signed_response_alg":"PS256"`, "id_token_signed_response_alg"}, // not of this deployment
		{`"id_token_encrypted_response_alg":"ECDH-ES","jwks":` + key, ""},
		{`"id_token_encrypted_response_alg":"ECDH-ES+A256KW","id_token_encrypted_response_enc":"A256GCM","jwks_uri":"https://app.example/jwks"`, ""},
		{`"id_token_encrypted_response_alg":"ECDH-ES"`, "jwks"},
		{`"id_token_encrypted_response_alg":"RSA-OAEP-256","jwks":` + key, "jwks"},
		{`"id_token_encrypted_response_alg":"RSA1_5","jwks":` + key, "id_token_encrypted_response_alg"},
		{`"id_token_encrypted_response_alg":"dir","jwks":` + key, "id_token_encrypted_response_alg"},
		{`"id_token_encrypted_response_alg":["ECDH-ES"],"jwks":` + key, "id_token_encrypted_response_alg"},
		{`"id_token_encrypted_response_enc":"A128GCM"`, "id_token_encrypted_response_enc"},
		{`"userinfo_signed_response_alg":"RS256"`, ""},
		{`"userinfo_signed_response_alg":"PS256"`, "userinfo_signed_response_alg"},
		{`"userinfo_signed_response_alg":"HS256"`, "userinfo_signed_response_alg"},
		{`"userinfo_signed_response_alg":"none"`, "userinfo_signed_response_alg"},
		{`"userinfo_encrypted_response_alg":"ECDH-ES+A128KW","userinfo_encrypted_response_enc":"A256CBC-HS512","jwks":` + key, ""},
		{`"userinfo_encrypted_response_alg":"RSA1_5","jwks":` + key, "userinfo_encrypted_response_alg"},
		{`"userinfo_encrypted_response_alg":"ECDH-ES","userinfo_encrypted_response_enc":"A1GCM","jwks":` + key, "userinfo_encrypted_response_enc"},
		{`"userinfo_encrypted_response_enc":"A128GCM"`, "userinfo_encrypted_response_enc"},
		{`"request_object_signing_alg":"RS256"`, "request_object_signing_alg"},
		{`"request_object_signing_alg":"ES256","jwks":` + key, ""},
		{`"request_object_signing_alg":"HS256","token_endpoint_auth_method":"client_secret_jwt"`, ""},
		{`"request_object_signing_alg":"HS256"`, "request_object_signing_alg"},
		{`"request_object_signing_alg":"none"`, "request_object_signing_alg"}, // turned off by default
		{`"request_object_signing_alg":1`, "request_object_signing_alg"},
		{`"require_signed_request_object":true,"jwks":` + key, ""},
		{`"require_signed_request_object":true`, "require_signed_request_object"},
		{`"require_signed_request_object":"true"`, "require_signed_request_object"},
		{`"request_object_encryption_alg":"RSA-OAEP"`, "request_object_encryption_alg"},
		{`"request_object_encryption_enc":"A128GCM"`, "request_object_encryption_enc"},
		{`"token_endpoint_auth_method":"client_secret_basic"`, ""},
		{`"token_endpoint_auth_method":"client_secret_post"`, ""},
		{`"token_endpoint_auth_method":"client_secret_jwt"`, ""},
		{`"token_endpoint_auth_method":"none"`, ""},
		{`"token_endpoint_auth_method":"private_key_jwt","jwks":` + key, ""},
		{`"token_endpoint_auth_method":"private_key_jwt"`, "jwks"},
		{`"token_endpoint_auth_method":"tls_client_auth"`, "token_endpoint_auth_method"},
		{`"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"HS512"`, ""},
		{`"token_endpoint_auth_signing_alg":"RS256"`, "token_endpoint_auth_signing_alg"},
		{`"default_max_age":3600`, ""},
		{`"default_max_age":0`, ""},
		{`"default_max_age":-1`, "default_max_age"},
		{`"default_max_age":"3600"`, "default_max_age"},
		{`"require_auth_time":true`, ""},
		{`"require_auth_time":"true"`, "require_auth_time"},
		{`"default_acr_values":["urn:calleridp:acr:push","other"]`, ""},
		{`"default_acr_values":"1"`, "default_acr_values"},
		{`"initiate_login_uri":"https://app.example/login"`, ""},
		{`"initiate_login_uri":"http://app.example/login"`, "initiate_login_uri"},
		{`"request_uris":[]`, ""},
		{`"request_uris":["https://app.example/request","https://app.example/request#hash"]`, ""},
		{`"request_uris":["http://app.example/request"]`, "request_uris[0]"},
		{`"request_uris":"https://app.example/request"`, "request_uris"},
		{`"post_logout_redirect_uris":["https://app.example/bye"]`, ""},
		{`"post_logout_redirect_uris":["http://app.example/bye"]`, "post_logout_redirect_uris[0]"},
		{`"scope":"openid phone"`, ""},
		{`"scope":"phone"`, "scope"},
		{`"scope":"openid cheese"`, "scope[1]"},
		{`"scope":"openid offline_access"`, "scope"},
		{`"scope":"openid offline_access","grant_types":["authorization_code","refresh_token"]`, ""},
		{`"software_id":"4NRB1-0XZABZI9E6-5SM3R","software_version":"2.1"`, ""},
		{`"software_id":"` + strings.Repeat("x", 201) + `"`, "software_id"},
		{`"dpop_bound_access_tokens":true`, "dpop_bound_access_tokens"},
		{`"dpop_bound_access_tokens":false`, ""},
		{`"require_pushed_authorization_requests":true`, "require_pushed_authorization_requests"},
	} {
		got := register(w, with(row.members))
		if row.refused == "" {
			if got.StatusCode != http.StatusCreated {
				t.Errorf("%s: got %s, want a new client", row.members, got)
				continue
			}
			var asked map[string]any
			json.Unmarshal([]byte("{"+row.members+"}"), &asked)
			for name, value := range asked {
				if empty, ok := value.([]any); value == false || ok && len(empty) == 0 {
					continue
				}
				if read := got.JSON()[name]; fmt.Sprint(read) != fmt.Sprint(value) {
					t.Errorf("%s: the response has %v", row.members, read)
				}
			}
			target, token := manages(t, got)
			again := send(w, http.MethodGet, target, "", token).JSON()
			want := maps.Clone(got.JSON())
			delete(want, "client_secret")
			delete(want, "client_secret_expires_at")
			if fmt.Sprint(again) != fmt.Sprint(want) {
				t.Errorf("%s: reads again as\n%v, want\n%v", row.members, again, want)
			}
			continue
		}
		if got.StatusCode != http.StatusBadRequest || got.Member("error") != "invalid_client_metadata" ||
			!strings.HasPrefix(got.Member("error_description"), row.refused+": ") {
			t.Errorf("%s: got %s, want invalid_client_metadata that names %s", row.members, got, row.refused)
		}
		if description := got.Member("error_description"); strings.ContainsFunc(description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%s: the description %q has characters that RFC 6749 section 5.2 does not allow", row.members, description)
		}
		if strings.Contains(got.Text, "10.0.0.1") {
			t.Errorf("%s: %s tells what is in our network", row.members, got)
		}
	}
}

// What is not said has the values of the specifications, and of a stranger's client.
func TestDefaults(t *testing.T) {
	w := worldWith(t, open())
	got := register(w, with(`"client_id":"mine","client_name#sv":"Min","native":true,"consent":"none","dangerously_without_pkce":true,"unknown":{},"client_uri":null`))
	want := map[string]any{
		"redirect_uris": []any{callback}, "response_types": []any{"code"}, "grant_types": []any{"authorization_code"},
		"application_type": "web", "subject_type": "public", "id_token_signed_response_alg": "RS256",
		"token_endpoint_auth_method": "client_secret_basic", "client_name": "app.example",
		"scope": "openid profile email phone address truecaller", "client_secret_expires_at": 0.0,
	}
	all := got.JSON()
	for name, value := range want {
		if fmt.Sprint(all[name]) != fmt.Sprint(value) {
			t.Errorf("%s: got %v, want %v", name, all[name], value)
		}
	}
	id := got.Member("client_id")
	if id == "mine" || len(got.Member("client_secret")) < 43 || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s with %v", got, got.Header)
	}
	c, err := w.Clients.Client(t.Context(), id)
	if err != nil || c.WithoutPKCE || c.Native || c.Consent != client.ConsentRemember {
		t.Errorf("got %+v, %v, want a client with PKCE and consent", c, err)
	}
}

// Redirects of strangers lead where their application_type may be (OpenID Connect Dynamic
// Client Registration §2, RFC 8252 §7), and are never patterns.
func TestRedirectURIs(t *testing.T) {
	w := worldWith(t, open())
	for _, row := range []struct {
		kind, uri string
		ok        bool
	}{
		{"web", callback, true},
		{"web", "https://app.example:8443/cb?tenant=1", true},
		{"web", "http://app.example/cb", false},
		{"web", "http://127.0.0.1/cb", false},
		{"web", "http://localhost/cb", false},
		{"web", "com.example.app:/cb", false},
		{"web", "https://*.example/cb", false},
		{"web", "https://app.example/*", false},
		{"web", "https://app.example/cb#here", false},
		{"web", "https://user@app.example/cb", false},
		{"web", "/cb", false},
		{"web", "", false},
		{"web", "javascript:alert(1)", false},
		{"native", "http://127.0.0.1/cb", true},
		{"native", "http://[::1]:8080/cb", true},
		{"native", "http://localhost/cb", true},
		{"native", "com.example.app:/cb", true},
		{"native", callback, false},
		{"native", "http://app.example/cb", false},
		{"native", "vcclient://openid", false},
		{"native", "javascript:alert(1)", false},
		{"native", "data:text/html,x", false},
	} {
		body, _ := json.Marshal(map[string]any{"application_type": row.kind, "redirect_uris": []string{row.uri}})
		got := register(w, string(body))
		if row.ok && got.StatusCode != http.StatusCreated || !row.ok &&
			(got.StatusCode != http.StatusBadRequest || got.Member("error") != "invalid_redirect_uri" || !strings.HasPrefix(got.Member("error_description"), "redirect_uris")) {
			t.Errorf("%s %q: got %s", row.kind, row.uri, got)
		}
	}
	local := `{"redirect_uris":["https://localhost/cb"]`
	if got := register(w, local+`}`); got.StatusCode != http.StatusCreated {
		t.Errorf("https on localhost, for codes: got %s", got)
	}
	if got := register(w, local+`,"response_types":["id_token"],"grant_types":["implicit"]}`); got.Member("error") != "invalid_redirect_uri" {
		t.Errorf("https on localhost, for ID tokens: got %s, want invalid_redirect_uri", got)
	}
	many := strings.Repeat(`"`+callback+`",`, 21)
	for _, body := range []string{`{}`, `{"redirect_uris":[]}`, `{"redirect_uris":[` + strings.TrimSuffix(many, ",") + `]}`} {
		if got := register(w, body); got.Member("error") != "invalid_redirect_uri" {
			t.Errorf("%.100s: got %s, want invalid_redirect_uri", body, got)
		}
	}
}

func TestBodies(t *testing.T) {
	w := worldWith(t, open())
	for _, body := range []string{"", "x", "[]", "null", `"x"`, `{"redirect_uris":["` + callback + `"]}{}`, with(`"x":"` + strings.Repeat("x", 64<<10) + `"`)} {
		if got := register(w, body); got.StatusCode != http.StatusBadRequest || got.Member("error") != "invalid_client_metadata" {
			t.Errorf("%.40q: got %s, want invalid_client_metadata", body, got)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} { // RFC 7591 §3.1; and a page could send it
		if got := register(w, with(""), testworld.Header("Content-Type", kind)); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: got %s, want a refusal", kind, got)
		}
	}
	if got := register(w, with(""), testworld.Header("Content-Type", "application/json; charset=utf-8")); got.StatusCode != http.StatusCreated {
		t.Errorf("with a charset: got %s", got)
	}
	if got := send(w, http.MethodGet, "/register", ""); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
		t.Errorf("GET: got %s", got)
	}
	if got := register(w, with(`"software_statement":"a.b.c"`)); got.StatusCode != http.StatusBadRequest || got.Member("error") != "invalid_software_statement" {
		t.Errorf("a software statement: got %s", got)
	}
}

// Clients whose redirects belong to nobody share no sector (OpenID Connect Core §8.1).
func TestThreat_SectorsBelongToTheirClients(t *testing.T) {
	w := worldWith(t, open())
	for body, want := range map[string]string{
		`{"subject_type":"pairwise","redirect_uris":["https://a.example/cb","https://b.example/cb"]}`:                                                "",
		`{"subject_type":"pairwise","application_type":"native","redirect_uris":["http://127.0.0.1/cb"]}`:                                            "",
		`{"subject_type":"pairwise","application_type":"native","redirect_uris":["com.example.app:/cb"]}`:                                            "",
		`{"subject_type":"pairwise","application_type":"native","redirect_uris":["com.example.other:/cb"],"sector_identifier_uri":"` + sector + `"}`: "",
		`{"subject_type":"pairwise","application_type":"native","redirect_uris":["com.example.app:/cb"],"sector_identifier_uri":"` + sector + `"}`:   "sector.example",
		`{"subject_type":"pairwise","redirect_uris":["` + callback + `","https://other.example/cb"],"sector_identifier_uri":"` + sector + `"}`:       "sector.example",
		`{"subject_type":"pairwise","redirect_uris":["` + callback + `"]}`:                                                                           "app.example",
	} {
		got := register(w, body)
		if want == "" {
			if got.Member("error") != "invalid_client_metadata" || !strings.HasPrefix(got.Member("error_description"), "sector_identifier_uri: ") {
				t.Errorf("%s: got %s, want sector_identifier_uri refused", body, got)
			}
			continue
		}
		if c, err := w.Clients.Client(t.Context(), got.Member("client_id")); err != nil || c.Sector() != want {
			t.Errorf("%s: got %s, with sector %q, want %q", body, got, c.Sector(), want)
		}
	}
}

// Whatever is registered is valid, reads the same again, and leads nowhere that a stranger's
// client must not lead.
func FuzzMetadata(f *testing.F) {
	for _, body := range []string{
		with(""), with(`"jwks":` + key + `,"token_endpoint_auth_method":"private_key_jwt"`), `{"redirect_uris":["com.example.app:/cb"],"application_type":"native"}`,
		with(`"scope":"openid phone","default_max_age":0,"contacts":["a"]`), `{"redirect_uris":["https://a.example","https://[::1]/"]}`,
		with(`"subject_type":"pairwise","grant_types":["authorization_code","refresh_token"]`), `{"redirect_uris":null}`, `{"Redirect_URIs":["x"]}`,
		with(`"tos_uri":"https://a.example","tos_uri":""`), with(`"contacts":["a",null]`), with(`"client_name":"\ud800","default_acr_values":[""]`),
	} {
		f.Add(body)
	}
	p := open()
	p.Network = limit.Rate{Burst: 1_000_000_000, Period: time.Minute} // no budget ends the search
	p.Deployment = p.Network
	w := worldWith(f, p)
	f.Fuzz(func(t *testing.T, body string) {
		w := w.In(t)
		got := register(w, body)
		switch got.StatusCode {
		case http.StatusCreated:
		case http.StatusBadRequest, http.StatusTooManyRequests, http.StatusForbidden:
			if got.Member("error") == "" {
				t.Fatalf("got %s", got)
			}
			return
		default:
			t.Fatalf("got %s", got)
		}
		id := got.Member("client_id")
		c, err := w.Clients.Client(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if invalid := client.Validate(c); invalid != nil {
			t.Fatalf("%s is registered, and %v", body, invalid)
		}
		if c.Native || c.WithoutPKCE || c.Consent == client.ConsentNone {
			t.Fatalf("%s is registered as %+v", body, c)
		}
		for _, uri := range c.RedirectURIs {
			u, err := url.Parse(uri)
			if err != nil || u.Scheme != "https" && c.Registration.ApplicationType != "native" || u.Scheme == "http" && u.Hostname() != "localhost" && !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "::1" {
				t.Fatalf("%s leads to %q", body, uri)
			}
		}
		target, token := manages(t, got)
		read := send(w, http.MethodGet, target, "", token).JSON()
		for name, value := range got.JSON() {
			if name != "client_secret" && name != "client_secret_expires_at" && fmt.Sprint(read[name]) != fmt.Sprint(value) {
				t.Fatalf("%s: %s was %v, and reads as %v", body, name, value, read[name])
			}
		}
		for _, name := range []string{"client_id_issued_at", "registration_access_token", "registration_client_uri"} {
			delete(read, name)
		}
		again, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		if changed := send(w, http.MethodPut, target, string(again), token); changed.StatusCode != http.StatusOK {
			t.Fatalf("%s is registered, and what reads again is refused: %s", again, changed)
		}
		if gone := send(w, http.MethodDelete, target, "", token); gone.StatusCode != http.StatusNoContent {
			t.Fatalf("got %s", gone)
		}
	})
}
