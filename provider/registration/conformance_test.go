// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// kind is what a member of a client's metadata is, as JSON.
type kind int

const (
	text kind = iota
	texts
	flag
	seconds
	object
)

// ofOtherKinds are values that are not of the kind.
func (k kind) ofOtherKinds() []string {
	all := map[kind][]string{
		text:    {`"x"`},
		texts:   {`["x"]`},
		flag:    {`true`, `false`},
		seconds: {`7`},
		object:  {`{"x":"x"}`},
	}
	others := []string{`1.5`, `-1`, `1e400`, `[1]`, `[["x"]]`, `[{}]`, `[null]`, `["x",null]`, `[]`, `{}`}
	for other, values := range all {
		if other != k {
			others = append(others, values...)
		}
	}
	return slices.DeleteFunc(others, func(v string) bool { return k == texts && v == `[]` || k == object && v == `{}` })
}

const (
	anyLong  = 3000 // bytes: longer than any value that a client needs
	withKeys = `,"jwks":` + key
)

// member is a member of the metadata of OpenID Connect Registration §2 or RFC 7591 §2.
type member struct {
	section, name string
	kind          kind
	beside        string // other members, that it needs
	value         string // one that is accepted, and echoed
	usual         string // what is echoed if it is absent, null or empty, "" for nothing
	unknown       []string
	long          string // a value that is too long, "" if any length is refused as unknown
	required      bool   // it is refused if it is absent, null or empty
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// list returns a list of n values.
func list(n int, value func(int) string) string {
	var all []string
	for i := range n {
		all = append(all, quoted(value(i)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

var (
	longText = quoted(strings.Repeat("x", anyLong))
	longURL  = quoted("https://app.example/" + strings.Repeat("x", anyLong))
)

func links(n int) string {
	return list(n, func(i int) string { return fmt.Sprintf("https://app.example/%d", i) })
}

var (
	badLinks  = []string{`"x"`, `"//app.example/"`, `"http://app.example/"`, `"javascript:alert(1)"`, `"data:text/html,x"`, `"https://"`, `"https://u:p@app.example/"`, `"ftp://app.example/"`}
	badRealms = append(slices.Clone(badLinks), `"https://app.example/#f"`, `"https:app.example"`)
)

// listed returns each value as the only one of a list.
func listed(values []string) (lists []string) {
	for _, v := range values {
		lists = append(lists, "["+v+"]")
	}
	return lists
}

var specified = []member{
	{section: "RFC 7591 §2", name: "redirect_uris", kind: texts, required: true, value: `["https://app.example/1","https://app.example/2"]`,
		unknown: append(listed(badLinks), `[""]`, `["https://app.example/#f"]`, `["https://*.example/cb"]`, `["https://app.example/ x"]`, `["https://app.example/é"]`, `["https://app.example/\u0000"]`),
		long:    links(21)},
	{section: "RFC 7591 §2", name: "redirect_uris", kind: texts, required: true, value: `["https://app.example"]`, long: "[" + longURL + "]"},
	{section: "RFC 7591 §2.1", name: "response_types", kind: texts, value: `["code"]`, usual: `["code"]`,
		unknown: []string{`["cheese"]`, `[""]`, `["CODE"]`, `["code code"]`, `["code","cheese"]`, `["none"]`}, long: "[" + longText + "]"},
	{section: "RFC 7591 §2.1", name: "response_types", kind: texts, value: `["code"]`, usual: `["code"]`, long: list(100, func(int) string { return "code" })},
	{section: "RFC 7591 §2.1", name: "grant_types", kind: texts, value: `["authorization_code","refresh_token"]`, usual: `["authorization_code"]`,
		unknown: []string{`["cheese"]`, `[""]`, `["password"]`, `["client_credentials"]`, `["urn:ietf:params:oauth:grant-type:jwt-bearer"]`, `["refresh_token"]`, `["Authorization_Code"]`},
		long:    "[" + longText + "]"},
	{section: "Registration §2", name: "application_type", kind: text, value: `"web"`, usual: `"web"`, unknown: []string{`"cheese"`, `"Web"`, `" web"`}, long: longText},
	{section: "Registration §2", name: "contacts", kind: texts, value: `["a@app.example","b@app.example"]`, unknown: []string{`["\u0000"]`}, long: "[" + longText + "]"},
	{section: "Registration §2", name: "contacts", kind: texts, value: `["x"]`, long: list(11, func(int) string { return "x" })},
	{section: "RFC 7591 §2", name: "client_name", kind: text, value: `"An application"`, usual: `"app.example"`, unknown: []string{`" "`, `"\u202e"`, `"..."`, `"a\u0000b"`}, long: longText},
	{section: "RFC 7591 §2", name: "logo_uri", kind: text, value: `"https://app.example/logo"`, unknown: badLinks, long: longURL},
	{section: "RFC 7591 §2", name: "client_uri", kind: text, value: `"https://app.example/"`, unknown: badLinks, long: longURL},
	{section: "RFC 7591 §2", name: "policy_uri", kind: text, value: `"https://app.example/policy"`, unknown: badLinks, long: longURL},
	{section: "RFC 7591 §2", name: "tos_uri", kind: text, value: `"https://app.example/tos"`, unknown: badLinks, long: longURL},
	{section: "RFC 7591 §2", name: "jwks_uri", kind: text, value: `"https://app.example/jwks"`, unknown: badRealms, long: longURL},
	{section: "RFC 7591 §2", name: "jwks", kind: object, value: key,
		unknown: []string{`{"keys":7}`, `{"keys":[7]}`, `{"keys":[{"kty":"cheese"}]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`},
		long:    `{"keys":[` + strings.Repeat(strings.TrimSuffix(strings.TrimPrefix(key, `{"keys":[`), `]}`)+",", 21) + strings.TrimPrefix(key, `{"keys":[`)},
	{section: "Registration §2", name: "sector_identifier_uri", kind: text, value: quoted(sector), unknown: append(slices.Clone(badRealms), `"https://nowhere.example/"`), long: longURL},
	{section: "Registration §2", name: "subject_type", kind: text, value: `"pairwise"`, usual: `"public"`, unknown: []string{`"cheese"`, `"Public"`}, long: longText},
	{section: "Registration §2", name: "id_token_signed_response_alg", kind: text, value: `"ES256"`, usual: `"RS256"`, unknown: []string{`"cheese"`, `"none"`, `"rs256"`, `"HS256"`}, long: longText},
	{section: "Registration §2", name: "id_token_encrypted_response_alg", kind: text, beside: withKeys, value: `"ECDH-ES"`, unknown: []string{`"cheese"`, `"none"`, `"dir"`, `"RSA1_5"`}, long: longText},
	{section: "Registration §2", name: "id_token_encrypted_response_enc", kind: text, beside: withKeys + `,"id_token_encrypted_response_alg":"ECDH-ES"`, value: `"A256GCM"`, usual: `"A128CBC-HS256"`, unknown: []string{`"cheese"`, `"none"`}, long: longText},
	{section: "Registration §2", name: "userinfo_signed_response_alg", kind: text, value: `"RS256"`, unknown: []string{`"cheese"`, `"none"`, `"HS256"`}, long: longText},
	{section: "Registration §2", name: "userinfo_encrypted_response_alg", kind: text, beside: withKeys, value: `"ECDH-ES"`, unknown: []string{`"cheese"`, `"none"`, `"dir"`}, long: longText},
	{section: "Registration §2", name: "userinfo_encrypted_response_enc", kind: text, beside: withKeys + `,"userinfo_encrypted_response_alg":"ECDH-ES"`, value: `"A256GCM"`, usual: `"A128CBC-HS256"`, unknown: []string{`"cheese"`, `"none"`}, long: longText},
	{section: "Registration §2", name: "request_object_signing_alg", kind: text, beside: withKeys, value: `"ES256"`, unknown: []string{`"cheese"`, `"none"`, `"HS256"`}, long: longText},
	{section: "RFC 9101 §10.5", name: "require_signed_request_object", kind: flag, beside: withKeys, value: `true`},
	{section: "RFC 7591 §2", name: "token_endpoint_auth_method", kind: text, value: `"client_secret_post"`, usual: `"client_secret_basic"`,
		unknown: []string{`"cheese"`, `"None"`, `"tls_client_auth"`}, long: longText},
	{section: "Registration §2", name: "token_endpoint_auth_signing_alg", kind: text, beside: `,"token_endpoint_auth_method":"client_secret_jwt"`, value: `"HS256"`, unknown: []string{`"cheese"`, `"none"`, `"ES256"`}, long: longText},
	{section: "Registration §2", name: "default_max_age", kind: seconds, value: `0`, unknown: []string{`-1`, `9223372036854775808`, `2147483649`}},
	{section: "Registration §2", name: "require_auth_time", kind: flag, value: `true`},
	{section: "Registration §2", name: "default_acr_values", kind: texts, value: `["urn:calleridp:acr:push","cheese"]`, unknown: []string{`["\u0000"]`}, long: "[" + longText + "]"},
	{section: "Registration §2", name: "default_acr_values", kind: texts, value: `["x"]`, long: list(11, func(int) string { return "x" })},
	{section: "Registration §2", name: "initiate_login_uri", kind: text, value: `"https://app.example/login"`, unknown: badLinks, long: longURL},
	{section: "Registration §2", name: "request_uris", kind: texts, value: `["https://app.example/r","https://app.example/r#hash"]`, unknown: append(listed(badLinks), `[""]`), long: links(100)},
	{section: "Registration §2", name: "request_uris", kind: texts, value: `["https://app.example/r"]`, long: "[" + longURL + "]"},
	{section: "RP-Initiated Logout §3.1", name: "post_logout_redirect_uris", kind: texts, value: `["https://app.example/bye"]`, unknown: append(listed(badLinks), `[""]`, `["https://app.example/#f"]`), long: links(21)},
	{section: "RFC 7591 §2", name: "scope", kind: text, value: `"openid phone"`, usual: `"openid profile email phone address truecaller"`, unknown: []string{`"cheese"`, `"phone"`, `"openid cheese"`, `"OpenID"`}, long: longText},
	{section: "RFC 7591 §2", name: "software_id", kind: text, value: `"4NRB1-0XZABZI9E6-5SM3R"`, unknown: []string{`"\u0000"`}, long: longText},
	{section: "RFC 7591 §2", name: "software_version", kind: text, value: `"2.1"`, unknown: []string{`"\u0007"`}, long: longText},
}

// with returns the metadata of a client with the member and those that it needs; an empty
// value leaves it out.
func (m member) with(values ...string) string {
	body := `{"redirect_uris":["` + callback + `"]`
	if m.name == "redirect_uris" {
		body = `{"client_uri":"https://app.example"`
	}
	body += m.beside
	for _, v := range values {
		body += `,` + quoted(m.name) + `:` + v
	}
	return body + `}`
}

// Each member absent, null, empty, of another type, unknown, over-long and twice is refused
// by its name, or means what its section says, and is echoed so (RFC 7591 §3.2.1). What is
// refused at the registration endpoint, is at the configuration endpoint, and changes nothing.
func TestMetadataBySection(t *testing.T) {
	w := worldWith(t, open())
	kept := register(w, with(""))
	for i, m := range specified {
		if i%oneIn != 0 {
			continue
		}
		empty := map[kind]string{text: `""`, texts: `[]`}[m.kind]
		for _, values := range [][]string{nil, {`null`}, {empty}} {
			if len(values) > 0 && values[0] == "" {
				continue
			}
			if body := m.with(values...); m.required {
				wantMetadataRefused(t, w, kept, m, body)
			} else {
				wantEchoed(t, w, m, body, m.usual)
			}
		}
		wantEchoed(t, w, m, m.with(m.value), m.value)
		for _, value := range m.kind.ofOtherKinds() {
			wantMetadataRefused(t, w, kept, m, m.with(value))
		}
		for _, value := range m.unknown {
			wantMetadataRefused(t, w, kept, m, m.with(value))
		}
		if m.long != "" {
			wantMetadataRefused(t, w, kept, m, m.with(m.long))
		}
		for _, second := range []string{m.value, `null`, `"x"`} { // RFC 8259 §4: readers differ in which counts
			wantMetadataRefused(t, w, kept, m, m.with(m.value, second))
			wantMetadataRefused(t, w, kept, m, m.with(second, m.value))
		}
		// Names are exact: another spelling is an unknown member, and ignored (RFC 7591 §2).
		other := m
		other.name = strings.ToUpper(m.name)
		if m.required {
			wantMetadataRefused(t, w, kept, m, strings.Replace(m.with(m.value), m.name, other.name, 1))
		} else {
			wantEchoed(t, w, m, other.with(m.value), m.usual)
		}
	}
	target, token := manages(t, kept)
	for name, value := range send(w, http.MethodGet, target, "", token).JSON() {
		if before := kept.JSON()[name]; fmt.Sprint(before) != fmt.Sprint(value) {
			t.Errorf("after all that was refused, %s is %v, want %v", name, value, before)
		}
	}
	if all, err := w.Store.Clients(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("got %d clients, %v, want the one that is kept", len(all), err)
	}
}

// wantEchoed checks that the metadata is accepted, in a new client and in a change of one,
// and that the member reads as wanted, "" for not at all.
func wantEchoed(t *testing.T, w *testworld.World, m member, body, want string) {
	t.Helper()
	var wanted any
	if want != "" {
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
	}
	got := register(w, body)
	if got.StatusCode != http.StatusCreated {
		t.Errorf("%s: %.200s: got %s, want a new client", m.section, body, got)
		return
	}
	wantIssued(t, got)
	target, token := manages(t, got)
	changed := send(w, http.MethodPut, target, `{"client_id":`+quoted(got.Member("client_id"))+`,`+body[1:], token)
	for what, read := range map[string]testworld.Response{"registered": got, "read": send(w, http.MethodGet, target, "", token), "changed": changed} {
		if echoed := read.JSON()[m.name]; fmt.Sprint(echoed) != fmt.Sprint(wanted) {
			t.Errorf("%s: %.200s, %s: got %s with %v, want %v", m.section, body, what, read, echoed, wanted)
		}
	}
	send(w, http.MethodDelete, target, "", token)
}

// wantIssued checks what RFC 7591 §3.2.1, RFC 7592 §3 and OpenID Connect Registration §3.2
// require of a response about a new client.
func wantIssued(t *testing.T, got testworld.Response) {
	t.Helper()
	all := got.JSON()
	id, secret := got.Member("client_id"), got.Member("client_secret")
	method := got.Member("token_endpoint_auth_method")
	if issued, ok := all["client_id_issued_at"].(float64); id == "" || !ok || testworld.Seconds(issued).IsZero() {
		t.Errorf("got %s, want a client_id that was issued at some time", got)
	}
	if _, expires := all["client_secret_expires_at"]; (secret != "") != expires || (secret != "") != strings.HasPrefix(method, "client_secret_") {
		t.Errorf("got %s, want a secret with its end if the method is one with a secret", got)
	}
	if got.Member("registration_access_token") == "" || got.Member("registration_client_uri") != testworld.Issuer+"/register/"+id {
		t.Errorf("got %s, want where to change it, and the token for that", got)
	}
	if h := got.Header; h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("got the headers %v", h)
	}
}

// wantMetadataRefused checks that the metadata is refused by the member's name, in a new
// client and in a change of the one that is kept.
func wantMetadataRefused(t *testing.T, w *testworld.World, kept testworld.Response, m member, body string) {
	t.Helper()
	code := "invalid_client_metadata"
	if m.name == "redirect_uris" {
		code = "invalid_redirect_uri"
	}
	target, token := manages(t, kept)
	changing := `{"client_id":` + quoted(kept.Member("client_id")) + `,` + body[1:]
	for what, got := range map[string]testworld.Response{"new": register(w, body), "changed": send(w, http.MethodPut, target, changing, token)} {
		name, _, _ := strings.Cut(got.Member("error_description"), ":")
		name, _, _ = strings.Cut(name, "[")
		if got.StatusCode != http.StatusBadRequest || got.Member("error") != code || name != m.name {
			t.Errorf("%s: %.200s, %s: got %s, want %s that names %s", m.section, body, what, got, code, m.name)
		}
		if d := got.Member("error_description"); len(d) > 500 || strings.ContainsFunc(d, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%s: got the description %q, want some characters of RFC 6749 appendix A.8", m.section, d)
		}
		if got.Header.Get("Cache-Control") != "no-store" || got.Member("client_id") != "" || got.Member("client_secret") != "" {
			t.Errorf("%s: got %s with %v", m.section, got, got.Header)
		}
	}
}
