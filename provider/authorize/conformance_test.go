// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// fault is one wrong, or unusual, way to send a parameter of an authorization request.
type fault struct {
	section   string
	parameter string
	values    []string // none: it is absent; several: it is repeated
	// want is the error by the section's words, "" for none, "page" where the browser must
	// not be sent to the client.
	want string
}

// long is longer than any value that means something, and shorter than a request may be.
var long = strings.Repeat("x", 6000)

// faults are by section, each parameter absent, empty, malformed and over-long. Every one
// that is repeated is an error (RFC 6749 §3.1), see TestAuthorizationRequestBySection.
var faults = []fault{
	// RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.2, §3.1.2.6: never to a client that is not
	// known, or to an address that is not registered.
	{"RFC 6749 §4.1.2.1", "client_id", nil, "page"},
	{"RFC 6749 §4.1.2.1", "client_id", []string{""}, "page"},
	{"RFC 6749 §4.1.2.1", "client_id", []string{"none"}, "page"},
	{"RFC 6749 §4.1.2.1", "client_id", []string{"a b\x00"}, "page"},
	{"RFC 6749 §4.1.2.1", "client_id", []string{long}, "page"},
	{"Core §3.1.2.1", "redirect_uri", nil, "page"},
	{"RFC 6749 §3.1", "redirect_uri", []string{""}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example/cb/"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example/cb?x=1"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example/cb#x"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example.evil.example/cb"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example@evil.example/cb"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"https://app.example/cb/../x"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"javascript:alert(1)"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{"//app.example/cb"}, "page"},
	{"RFC 9700 §2.1", "redirect_uri", []string{long}, "page"},

	{"RFC 6749 §4.1.2.1", "response_type", nil, "invalid_request"},
	{"RFC 6749 §3.1", "response_type", []string{""}, "invalid_request"}, // as if omitted
	{"RFC 6749 §3.1.1", "response_type", []string{"cheese"}, "unsupported_response_type"},
	{"RFC 6749 §3.1.1", "response_type", []string{"code code"}, "unsupported_response_type"},
	{"RFC 6749 §3.1.1", "response_type", []string{"code  id_token"}, "unsupported_response_type"},
	{"RFC 6749 §3.1.1", "response_type", []string{"CODE"}, "unsupported_response_type"}, // §1.9: case sensitive
	{"RFC 6749 §3.1.1", "response_type", []string{long}, "unsupported_response_type"},

	{"Core §3.1.2.1", "scope", nil, "invalid_scope"},
	{"RFC 6749 §3.1", "scope", []string{""}, "invalid_scope"},
	{"Core §3.1.2.1", "scope", []string{"phone"}, "invalid_scope"},
	{"RFC 6749 §3.3", "scope", []string{"openid  phone"}, "invalid_scope"},
	{"RFC 6749 §3.3", "scope", []string{" openid"}, "invalid_scope"},
	{"RFC 6749 §3.3", "scope", []string{"openid\tphone"}, "invalid_scope"},
	{"RFC 6749 §3.3", "scope", []string{"OpenID"}, "invalid_scope"},
	{"Core §3.1.2.1", "scope", []string{"openid " + long}, ""}, // unknown ones are ignored

	{"RFC 6749 §4.1.1", "state", nil, ""},
	{"RFC 6749 §3.1", "state", []string{""}, ""},
	{"DIVERGENCES.md", "state", []string{long}, "page"},
	{"Core §3.1.2.1", "nonce", nil, ""},
	{"RFC 6749 §3.1", "nonce", []string{""}, ""},
	{"DIVERGENCES.md", "nonce", []string{long}, "invalid_request"},

	{"RFC 7636 §4.4.1", "code_challenge", nil, "invalid_request"},
	{"RFC 7636 §4.4.1", "code_challenge", []string{""}, "invalid_request"},
	{"RFC 7636 §4.2", "code_challenge", []string{"short"}, "invalid_request"},
	{"RFC 7636 §4.2", "code_challenge", []string{strings.Repeat("+", 43)}, "invalid_request"},
	{"RFC 7636 §4.2", "code_challenge", []string{long}, "invalid_request"},
	{"RFC 7636 §4.3", "code_challenge_method", nil, "invalid_request"}, // means plain
	{"RFC 9700 §2.1.1", "code_challenge_method", []string{"plain"}, "invalid_request"},
	{"RFC 7636 §4.4.1", "code_challenge_method", []string{"s256"}, "invalid_request"},
	{"RFC 7636 §4.4.1", "code_challenge_method", []string{long}, "invalid_request"},

	{"Core §3.1.2.1", "max_age", []string{""}, ""},
	{"Core §3.1.2.1", "max_age", []string{"0"}, ""},
	{"Core §3.1.2.1", "max_age", []string{"-1"}, "invalid_request"},
	{"Core §3.1.2.1", "max_age", []string{"1.5"}, "invalid_request"},
	{"Core §3.1.2.1", "max_age", []string{"an hour"}, "invalid_request"},
	{"Core §3.1.2.1", "max_age", []string{strings.Repeat("9", 30)}, "invalid_request"},

	{"Core §3.1.2.1", "id_token_hint", []string{""}, ""},
	{"Core §3.1.2.1", "id_token_hint", []string{"x"}, "invalid_request"},
	{"Core §3.1.2.1", "id_token_hint", []string{"a.b.c"}, "invalid_request"},
	{"Core §3.1.2.1", "id_token_hint", []string{long}, "invalid_request"},

	{"Core §5.5", "claims", []string{""}, ""},
	{"Core §5.5", "claims", []string{"{}"}, ""},
	{"Core §5.5", "claims", []string{"["}, "invalid_request"},
	{"Core §5.5", "claims", []string{`{"id_token":7}`}, "invalid_request"},
	{"Core §5.5", "claims", []string{`{"userinfo":{"` + long + `":null}}`}, ""},
	{"Core §5.5.1.1", "claims", []string{`{"id_token":{"acr":{"essential":true,"value":"x"}}}`}, "unmet_authentication_requirements"},

	// Hints and wishes: what is not understood is not followed.
	{"Core §3.1.2.1", "display", []string{""}, ""},
	{"Core §3.1.2.1", "display", []string{"page"}, ""},
	{"Core §3.1.2.1", "display", []string{"popup"}, ""},
	{"Core §3.1.2.1", "display", []string{"touch"}, ""},
	{"Core §3.1.2.1", "display", []string{"wap"}, ""},
	{"Core §3.1.2.1", "display", []string{"cheese"}, ""},
	{"Core §3.1.2.1", "display", []string{long}, ""},
	{"Core §5.2", "claims_locales", []string{"sv en"}, ""},
	{"Core §5.2", "claims_locales", []string{"xx-!!  "}, ""},
	{"Core §5.2", "claims_locales", []string{long}, ""},
	{"Core §3.1.2.1", "ui_locales", []string{"sv  xx-!! en"}, ""},
	{"Core §3.1.2.1", "ui_locales", []string{long}, ""},
	{"Core §3.1.2.1", "acr_values", []string{"1  2"}, ""},
	{"Core §3.1.2.1", "acr_values", []string{long}, ""},
	{"Core §3.1.2.1", "login_hint", []string{"nobody@example.com"}, ""},
	{"Core §3.1.2.1", "login_hint", []string{long}, ""},
	{"RFC 6749 §3.1", "cheese", []string{long}, ""}, // unrecognized parameters are ignored

	{"Core §6.1", "request", []string{""}, ""},
	{"Core §3.1.2.6", "request", []string{"x"}, "request_not_supported"},
	{"Core §3.1.2.6", "request", []string{long}, "request_not_supported"},
	{"Core §3.1.2.6", "request_uri", []string{"https://app.example/request"}, "request_uri_not_supported"},
	{"Core §3.1.2.6", "request_uri", []string{long}, "request_uri_not_supported"},
	{"Core §3.1.2.6", "registration", []string{"{}"}, "registration_not_supported"},
	{"RFC 8707 §2", "resource", []string{"https://api.example"}, "invalid_target"},
}

// Under every prompt and response mode, and by GET and POST, each fault leads to the error
// that its section names: in the mode that was asked for, with state and iss, at the registered
// redirect URI; or to a page. What is no fault leads to the sign-in page, or to login_required
// with prompt=none.
func TestAuthorizationRequestBySection(t *testing.T) {
	w := testworld.New(t)
	repeated := map[string]bool{}
	all := slices.Clone(faults)
	for _, f := range faults {
		if !repeated[f.parameter] {
			repeated[f.parameter] = true
			want := "invalid_request" // RFC 6749 §3.1: parameters MUST NOT be included more than once
			switch f.parameter {
			case "client_id", "redirect_uri":
				want = "page"
			case "resource": // which may be (RFC 8707 §2)
				want = "invalid_target"
			}
			values := testworld.AuthRequest("app")[f.parameter]
			if values == nil {
				values = []string{"x"}
			}
			all = append(all, fault{"RFC 6749 §3.1", f.parameter, []string{values[0], values[0]}, want})
		}
	}
	for _, f := range all {
		for _, mode := range []string{"", "query", "fragment", "form_post"} {
			for _, prompt := range []string{"", "none", "login", "consent", "select_account", "login consent"} {
				request := testworld.AuthRequest("app")
				set := func(name, value string) {
					if value != "" {
						request.Set(name, value)
					}
				}
				set("response_mode", mode)
				set("prompt", prompt)
				delete(request, f.parameter)
				if f.values != nil {
					request[f.parameter] = f.values
				}
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					var got testworld.Response
					if method == http.MethodGet {
						got = w.Get("/authorize?" + request.Encode())
					} else {
						got = w.Post("/authorize", request)
					}
					wantBySection(t, f, mode, prompt, method, request, got)
				}
			}
		}
	}
}

func wantBySection(t *testing.T, f fault, mode, prompt, method string, request url.Values, got testworld.Response) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		value := strings.Join(f.values, " & ")
		t.Errorf("%s: %s=%.60q, response_mode=%q, prompt=%q, %s: "+format, append([]any{f.section, f.parameter, value, mode, prompt, method}, args...)...)
	}
	want := f.want
	if want == "" && prompt == "none" {
		want = "login_required" // Core §3.1.2.6
	}
	page, _ := got.Page()
	d := got.Delivered()
	switch {
	case want == "page":
		if page != "error" || got.StatusCode < 400 || got.Header.Get("Location") != "" {
			bad("got %s, want an error page", got)
		}
		return
	case want == "":
		if page != "signin" || got.StatusCode != http.StatusOK {
			bad("got %s, want the sign-in page", got)
		}
		return
	}
	wantMode := mode
	if mode == "" {
		wantMode = "query"
		if strings.Contains(request.Get("response_type"), "id_token") { // Multiple Response Types §5
			wantMode = "fragment"
		}
	}
	if mode == "query" && strings.Contains(request.Get("response_type"), "id_token") {
		return // another fault
	}
	if d.Target != "https://app.example/cb" || d.Mode != wantMode {
		bad("got %s, want a response in %s at the registered address", got, wantMode)
		return
	}
	if d.Get("error") != want || d.Get("code") != "" || d.Get("iss") != testworld.Issuer {
		bad("got %v, want %s with iss", d.Values, want)
	}
	if state := request["state"]; len(state) == 1 && d.Get("state") != state[0] {
		bad("got the state %q, want %q", d.Get("state"), state[0])
	}
	if strings.ContainsFunc(d.Get("error_description"), func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		bad("got the description %q, want only characters of RFC 6749 appendix A.8", d.Get("error_description"))
	}
}

// prompt and response_mode themselves (Core §3.1.2.1, Multiple Response Types §2.1).
func TestPromptAndModeBySection(t *testing.T) {
	w := testworld.New(t)
	for _, f := range []fault{
		{"Core §3.1.2.1", "prompt", []string{""}, ""},
		{"Core §3.1.2.1", "prompt", []string{"none login"}, "invalid_request"},
		{"Core §3.1.2.1", "prompt", []string{"login  consent"}, "invalid_request"},
		{"Core §3.1.2.1", "prompt", []string{"cheese"}, "invalid_request"},
		{"Core §3.1.2.1", "prompt", []string{long}, "invalid_request"},
		{"RFC 6749 §3.1", "prompt", []string{"login", "login"}, "invalid_request"},
		{"Multiple Response Types §2.1", "response_mode", []string{""}, ""},
		{"Multiple Response Types §2.1", "response_mode", []string{"cheese"}, "invalid_request"},
		{"Multiple Response Types §2.1", "response_mode", []string{long}, "invalid_request"},
		{"RFC 6749 §3.1", "response_mode", []string{"query", "query"}, "invalid_request"},
	} {
		request := testworld.AuthRequest("app")
		request[f.parameter] = f.values
		wantBySection(t, f, "", "", http.MethodGet, request, w.Get("/authorize?"+request.Encode()))
	}
}
